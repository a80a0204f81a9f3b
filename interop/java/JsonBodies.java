import java.util.HexFormat;
import java.util.List;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;

/**
 * Decodes JSON bodies with Apache's classes and encodes them again. Arguments: `Class=hex`. Prints for each the hex of what
 * the class has encoded, or `none` if this release has no such class.
 */
public final class JsonBodies {
    private static final List<String> ROOTS =
        List.of("org.apache.rocketmq.remoting.protocol.", "org.apache.rocketmq.common.protocol.");
    private static final List<String> PARTS = List.of("body.", "heartbeat.", "header.");

    public static void main(String[] args) throws Exception {
        for (String arg : args) {
            int split = arg.indexOf('=');
            Class<?> type = find(arg.substring(0, split));
            System.out.println("body " + (type == null ? "none" : again(type, arg.substring(split + 1))));
        }
        System.exit(0);
    }

    private static Class<?> find(String name) {
        for (String root : ROOTS) {
            for (String part : PARTS) {
                try {
                    return Class.forName(root + part + name);
                } catch (ClassNotFoundException e) {
                    // The class is in another package or missing.
                }
            }
        }
        return null;
    }

    private static String again(Class<?> type, String hex) {
        Object body = RemotingSerializable.decode(HexFormat.of().parseHex(hex), type);
        return HexFormat.of().formatHex(RemotingSerializable.encode(body));
    }
}
