import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Worker NAME_SERVERS
 * Runs the commands of standard input with Apache's client until the input ends. See worker-lines.ts for commands and events.
 */
public final class Worker {
    static final Meter METER = new Meter();

    public static void main(String[] args) throws Exception {
        // Binary headers, as in Apache's benchmarks.
        System.setProperty("rocketmq.serialize.type", "ROCKETMQ");
        Work work = null;
        try (Senders senders = new Senders(args[0])) {
            BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                String[] words = line.trim().split(" ");
                Map<String, String> options = options(words);
                switch (words[0]) {
                    case "send" -> work = senders.send(options);
                    case "fill" -> senders.fill(options);
                    case "drain" -> work = new Drain(args[0], options);
                    case "delay" -> work = new Delay(args[0], options, senders);
                    case "mark" -> METER.report("mark");
                    case "stop" -> {
                        if (work != null) work.close();
                        work = null;
                        say("\"event\":\"stopped\"");
                    }
                    default -> throw new IllegalArgumentException(line);
                }
            }
        } catch (Throwable e) {
            e.printStackTrace();
            say("\"event\":\"error\",\"text\":\"" + e.toString().replaceAll("[\\\\\"\\s]+", " ") + "\"");
        }
        Runtime.getRuntime().halt(0);
    }

    static synchronized void say(String members) {
        System.out.println("@{" + members + "}");
        System.out.flush();
    }

    static void say(String format, Object... values) {
        say(String.format(Locale.ROOT, format, values));
    }

    private static Map<String, String> options(String[] words) {
        Map<String, String> options = new HashMap<>();
        for (int i = 1; i < words.length; i++) {
            String[] pair = words[i].split("=", 2);
            options.put(pair[0], pair[1]);
        }
        return options;
    }

    interface Work {
        void close() throws Exception;
    }
}
