import java.lang.reflect.Method;

/** Calls methods that only the 5.x line has. */
final class Later {
    /** Calls a getter; null if this release has none. */
    static Object get(Object object, String name) {
        try {
            return object.getClass().getMethod(name).invoke(object);
        } catch (ReflectiveOperationException e) {
            return null;
        }
    }

    /** Calls a method by its name and number of arguments. */
    static Object call(Object object, String name, Object... args) throws ReflectiveOperationException {
        for (Method method : object.getClass().getMethods()) {
            if (method.getName().equals(name) && method.getParameterCount() == args.length) return method.invoke(object, args);
        }
        throw new UnsupportedOperationException("this release has no method " + name);
    }

    static boolean has(Object object, String name) {
        for (Method method : object.getClass().getMethods()) if (method.getName().equals(name)) return true;
        return false;
    }
}
