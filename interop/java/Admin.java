import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Admin COMMAND ARGS... [then COMMAND ARGS...]...
 * Runs mqadmin commands one after the other in one JVM. Each one's output, errors included, ends with a line `<end>`.
 */
public final class Admin {
    public static void main(String[] args) throws Exception {
        System.setErr(System.out);
        List<String> command = new ArrayList<>();
        for (String arg : args) {
            if (!arg.equals("then")) command.add(arg);
            else run(command);
        }
        run(command);
        System.exit(0);
    }

    private static void run(List<String> command) throws Exception {
        MQAdminStartup.main(command.toArray(new String[0]));
        System.out.flush();
        System.out.println("\n<end>");
        command.clear();
        // The admin client's instance name is the current millisecond.
        Thread.sleep(5);
    }
}
