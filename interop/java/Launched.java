import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Runs the main method of another class, and ends when the process at the other end of standard input ends. */
public final class Launched {
    /** The lines of standard input, for a class that reads commands. */
    static final BlockingQueue<String> LINES = new LinkedBlockingQueue<>();

    public static void main(String[] args) throws Throwable {
        Thread watch = new Thread(Launched::haltAtEndOfInput, "parent-watch");
        watch.setDaemon(true);
        watch.start();
        try {
            Class.forName(args[0]).getMethod("main", String[].class)
                .invoke(null, (Object) Arrays.copyOfRange(args, 1, args.length));
        } catch (InvocationTargetException e) {
            throw e.getCause();
        }
    }

    private static void haltAtEndOfInput() {
        try {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = input.readLine(); line != null; line = input.readLine()) LINES.add(line);
        } catch (java.io.IOException e) {
            // Treated like the end of input.
        }
        Runtime.getRuntime().halt(137);
    }
}
