import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Admin COMMAND ARGS... [then COMMAND ARGS...]...
 * Runs mqadmin commands one after the other in one JVM. A line `<end>` follows the output and the errors of each.
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
        // Apache names the admin client by the current millisecond; two must not have the same name.
        Thread.sleep(5);
    }
}
