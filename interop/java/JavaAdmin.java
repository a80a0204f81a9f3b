import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.constant.PermName;
import org.apache.rocketmq.remoting.protocol.RemotingSerializable;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** Commands of operators. */
final class JavaAdmin {
    private static DefaultMQAdminExt shared;
    private static final InheritableThreadLocal<ByteArrayOutputStream> CAPTURED = new InheritableThreadLocal<>();
    private static final int TURN_MS = 60;
    private static final String SAME_NAME = "has created already, specified another name";
    private static final int TRIES = 5;
    private static boolean captures;

    static void addTo(Map<String, JavaClient.Command> commands) {
        commands.put("mqadmin", args -> mqadmin(args.texts("args")));
        commands.put("createTopic", args -> {
            int queues = (int) args.number("queues", 4);
            TopicConfig config = new TopicConfig(args.text("topic"), queues, queues, PermName.PERM_READ | PermName.PERM_WRITE);
            config.setOrder(args.is("order"));
            admin(args).createAndUpdateTopicConfig(args.text("broker"), config);
            return null;
        });
        commands.put("viewMessage", args -> Shapes.of(admin(args).viewMessage(args.text("topic"), args.text("messageId"))));
        commands.put("queryMessage", args -> Shapes.ofAll(admin(args)
            .queryMessage(args.text("topic"), args.text("key"), 32, 0, Long.MAX_VALUE).getMessageList()));
        commands.put("consumerConnection", args -> plain(admin(args).examineConsumerConnectionInfo(args.text("group"))));
        commands.put("producerConnection", args ->
            plain(admin(args).examineProducerConnectionInfo(args.text("group"), args.text("topic"))));
        commands.put("runningInfo", JavaAdmin::runningInfo);
        commands.put("consumeDirectly", args -> plain(admin(args).consumeMessageDirectly(
            args.text("group"), args.text("clientId"), args.text("topic"), args.text("messageId"))));
        commands.put("resetOffset", args -> {
            var offsets = admin(args).resetOffsetByTimestamp(
                args.text("topic"), args.text("group"), args.number("timestamp", 0), true);
            return offsets.size();
        });
        commands.put("consumeOffsets", JavaAdmin::consumeOffsets);
        commands.put("setPop", args -> {
            Object pop = Enum.valueOf(enumOf("org.apache.rocketmq.common.message.MessageRequestMode"), "POP");
            Later.call(admin(args), "setMessageRequestMode",
                args.text("broker"), args.text("topic"), args.text("group"), pop, (int) args.number("share", 0), 5000L);
            return null;
        });
        commands.put("traces", JavaAdmin::traces);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Class<Enum> enumOf(String name) throws ClassNotFoundException {
        return (Class<Enum>) Class.forName(name);
    }

    private static synchronized DefaultMQAdminExt admin(Args args) throws Exception {
        if (shared != null) return shared;
        DefaultMQAdminExt admin = new DefaultMQAdminExt(JavaProducers.hook(args), 10_000);
        JavaProducers.configure(admin, args);
        admin.setInstanceName("java-admin");
        admin.start();
        return shared = admin;
    }

    private static Object plain(Object body) {
        return RemotingSerializable.fromJson(RemotingSerializable.toJson(body, false), java.util.HashMap.class);
    }

    /** A part of the running info: the keys of its tables are objects, which JSON cannot represent. */
    private static Object runningInfo(Args args) throws Exception {
        var info = admin(args).getConsumerRunningInfo(args.text("group"), args.text("clientId"), args.is("stack"));
        List<String> topics = new ArrayList<>();
        info.getSubscriptionSet().forEach(subscription -> topics.add(subscription.getTopic()));
        return Map.of(
            "properties", info.getProperties(),
            "topics", topics,
            "queues", Shapes.of(info.getMqTable().keySet()),
            "statuses", new ArrayList<>(info.getStatusTable().keySet()),
            "stack", String.valueOf(info.getJstack()));
    }

    private static Object consumeOffsets(Args args) throws Exception {
        List<Object> list = new ArrayList<>();
        var stats = admin(args).examineConsumeStats(args.text("group"), args.text("topic"));
        stats.getOffsetTable().forEach((queue, offsets) -> {
            Map<String, Object> map = Shapes.of(queue);
            map.put("brokerOffset", offsets.getBrokerOffset());
            map.put("consumerOffset", offsets.getConsumerOffset());
            list.add(map);
        });
        return list;
    }

    /** Runs a command of mqadmin in this process and returns its output, errors included. Several may run at a time. */
    private static String mqadmin(List<String> command) throws Exception {
        String output = run(command);
        for (int tries = 1; tries < TRIES && output.contains(SAME_NAME); tries++) output = run(command);
        return output;
    }

    private static String run(List<String> command) throws Exception {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        awaitTurn();
        CAPTURED.set(bytes);
        try {
            MQAdminStartup.main(command.toArray(new String[0]));
            return bytes.toString(StandardCharsets.UTF_8);
        } finally {
            CAPTURED.remove();
        }
    }

    /**
     * Apache names the admin client by the current millisecond; two must not have the same name. On a busy machine a command may come
     * to that later than the next one: then it has done nothing, and is run again.
     */
    private static synchronized void awaitTurn() throws InterruptedException {
        if (!captures) {
            captures = true;
            PrintStream stream = new PrintStream(new Captured(System.err), true, StandardCharsets.UTF_8);
            System.setOut(stream);
            // Apache prints the error of a command there, and ends with success.
            System.setErr(stream);
        }
        Thread.sleep(TURN_MS);
    }

    /** What a command prints, also from its own threads; what others print goes where it went before. */
    private static final class Captured extends OutputStream {
        private final OutputStream otherwise;

        Captured(OutputStream otherwise) {
            this.otherwise = otherwise;
        }

        @Override
        public void write(int value) throws IOException {
            ByteArrayOutputStream bytes = CAPTURED.get();
            if (bytes == null) otherwise.write(value);
            else bytes.write(value);
        }
    }

    /** Decodes the text of a trace message with Apache's classes. */
    private static Object traces(Args args) {
        List<Object> list = new ArrayList<>();
        for (TraceContext context : TraceDataEncoder.decoderFromTraceDataString(args.text("text"))) {
            TraceBean bean = context.getTraceBeans().get(0);
            list.add(Map.of(
                "type", context.getTraceType().name(),
                "group", String.valueOf(context.getGroupName()),
                "success", context.isSuccess(),
                "costMs", context.getCostTime(),
                "topic", String.valueOf(bean.getTopic()),
                "messageId", String.valueOf(bean.getMsgId()),
                "keys", String.valueOf(bean.getKeys()),
                "tags", String.valueOf(bean.getTags()),
                "bodyLength", bean.getBodyLength()));
        }
        return list;
    }
}
