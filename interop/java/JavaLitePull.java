import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageQueue;

/** Commands of lite pull consumers. */
final class JavaLitePull {
    private static final Map<String, DefaultLitePullConsumer> CONSUMERS = new ConcurrentHashMap<>();

    static void addTo(Map<String, JavaClient.Command> commands) {
        commands.put("litePull", JavaLitePull::start);
        commands.put("poll", args -> Shapes.ofAll(consumer(args).poll(args.number("timeoutMs", 1000))));
        commands.put("assignment", args -> Shapes.of(consumer(args).assignment()));
        commands.put("topicQueues", args -> Shapes.of(consumer(args).fetchMessageQueues(args.text("topic"))));
        commands.put("committed", args -> consumer(args).committed(Shapes.queue(args.object("queue"))));
        add(commands, "commit", args -> {
            DefaultLitePullConsumer consumer = consumer(args);
            consumer.commit(new HashSet<>(consumer.assignment()), true);
        });
        add(commands, "seek", args -> consumer(args).seek(Shapes.queue(args.object("queue")), args.number("offset", 0)));
        add(commands, "pauseQueues", args -> consumer(args).pause(Shapes.queues(args.objects("queues"))));
        add(commands, "resumeQueues", args -> consumer(args).resume(Shapes.queues(args.objects("queues"))));
        add(commands, "stopLitePull", args -> CONSUMERS.remove(args.text("consumer")).shutdown());
    }

    private interface Step {
        void run(Args args) throws Exception;
    }

    private static void add(Map<String, JavaClient.Command> commands, String name, Step step) {
        commands.put(name, args -> {
            step.run(args);
            return null;
        });
    }

    private static DefaultLitePullConsumer consumer(Args args) {
        DefaultLitePullConsumer consumer = CONSUMERS.get(args.text("consumer"));
        if (consumer == null) throw new IllegalArgumentException("no consumer " + args.text("consumer"));
        return consumer;
    }

    private static Object start(Args args) throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(args.text("group"), JavaProducers.hook(args));
        JavaProducers.configure(consumer, args);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(args.is("autoCommit"));
        for (Map.Entry<String, Object> each : args.object("subscriptions").asMap().entrySet()) {
            if (each.getValue() instanceof String) consumer.subscribe(each.getKey(), (String) each.getValue());
            else consumer.subscribe(each.getKey(), MessageSelector.bySql((String) ((Map<?, ?>) each.getValue()).get("sql")));
        }
        consumer.start();
        if (args.has("assign")) assign(consumer, args);
        CONSUMERS.put(args.text("consumer"), consumer);
        return null;
    }

    private static void assign(DefaultLitePullConsumer consumer, Args args) throws Exception {
        List<MessageQueue> queues = new ArrayList<>(consumer.fetchMessageQueues(args.text("assign")));
        consumer.assign(queues);
    }
}
