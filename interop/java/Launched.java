import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

/** Runs another class's main and dies with the process that holds our standard input. */
public final class Launched {
    /** The lines of our standard input, for a class that takes commands. */
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
            // As good as the end.
        }
        Runtime.getRuntime().halt(137);
    }
}
