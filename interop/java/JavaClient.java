import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/**
 * JavaClient NAME_SERVERS
 * One process for many cases. Each line of input is a command `{"id":1,"do":"send",...}`; each line of output that
 * begins with `@` is its answer (`{"id":1,"result":...}` or `{"id":1,"error":{"type","message","code"}}`) or an event of
 * a consumer or a producer (`{"event":"received",...}`).
 */
public final class JavaClient {
    interface Command {
        Object run(Args args) throws Exception;
    }

    private static final PrintStream OUT = System.out;
    private static final Map<String, Command> COMMANDS = new HashMap<>();
    static String nameServers;

    public static void main(String[] args) throws Exception {
        nameServers = args[0];
        // Apache reads it when the first consumer broadcasts.
        System.setProperty("rocketmq.client.localOffsetStoreDir", offsetsFolder());
        COMMANDS.put("offsetsFolder", given -> offsetsFolder());
        // Clients and tools print to System.out; only answers may go to OUT.
        System.setOut(System.err);
        JavaProducers.addTo(COMMANDS);
        JavaConsumers.addTo(COMMANDS);
        JavaLitePull.addTo(COMMANDS);
        JavaPull.addTo(COMMANDS);
        JavaAdmin.addTo(COMMANDS);
        ExecutorService threads = Executors.newCachedThreadPool();
        event("ready", new LinkedHashMap<>());
        while (true) {
            String line = Launched.LINES.take();
            threads.execute(() -> answer(line));
        }
    }

    private static String offsetsFolder() {
        return System.getenv("ROCKETMQ_HOME") + "/offsets";
    }

    private static void answer(String line) {
        Args args = Args.parse(line);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("id", args.number("id", 0));
        try {
            Command command = COMMANDS.get(args.text("do"));
            if (command == null) throw new IllegalArgumentException("no command " + args.text("do"));
            answer.put("result", command.run(args));
            print(answer);
        } catch (Throwable e) {
            // The result itself may be what JSON cannot represent.
            answer.remove("result");
            answer.put("error", errorOf(e));
            print(answer);
        }
    }

    private static Map<String, Object> errorOf(Throwable thrown) {
        Throwable e = thrown instanceof java.lang.reflect.InvocationTargetException ? thrown.getCause() : thrown;
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("type", e.getClass().getSimpleName());
        error.put("message", String.valueOf(e.getMessage()));
        error.put("code", codeOf(e));
        return error;
    }

    private static int codeOf(Throwable e) {
        if (e instanceof MQBrokerException) return ((MQBrokerException) e).getResponseCode();
        if (e instanceof MQClientException) return ((MQClientException) e).getResponseCode();
        return -1;
    }

    static void event(String name, Map<String, Object> more) {
        Map<String, Object> event = new LinkedHashMap<>(more);
        event.put("event", name);
        print(event);
    }

    private static void print(Map<String, Object> line) {
        byte[] bytes = ("@" + RemotingSerializable.toJson(line, false) + "\n").getBytes(StandardCharsets.UTF_8);
        synchronized (OUT) {
            OUT.write(bytes, 0, bytes.length);
            OUT.flush();
        }
    }
}
