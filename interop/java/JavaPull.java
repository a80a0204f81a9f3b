import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.common.message.MessageQueue;

/** Commands of pull consumers, which applications tell each queue and offset. Apache has deprecated them; many use them. */
final class JavaPull {
    private static final Map<String, DefaultMQPullConsumer> CONSUMERS = new ConcurrentHashMap<>();

    static void addTo(Map<String, JavaClient.Command> commands) {
        commands.put("pullConsumer", args -> {
            DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(args.text("group"));
            JavaProducers.configure(consumer, args);
            consumer.start();
            CONSUMERS.put(args.text("consumer"), consumer);
            return null;
        });
        commands.put("subscribeQueues", args -> Shapes.of(consumer(args).fetchSubscribeMessageQueues(args.text("topic"))));
        commands.put("pull", args -> {
            MessageQueue queue = Shapes.queue(args.object("queue"));
            String tags = args.text("tags", "*");
            long offset = args.number("offset", 0);
            PullResult result = args.is("blocks")
                ? consumer(args).pullBlockIfNotFound(queue, tags, offset, 32)
                : consumer(args).pull(queue, tags, offset, 32);
            return shapeOf(result);
        });
        commands.put("pullOffsets", args -> {
            MessageQueue queue = Shapes.queue(args.object("queue"));
            Map<String, Object> map = new LinkedHashMap<>();
            map.put("min", consumer(args).minOffset(queue));
            map.put("max", consumer(args).maxOffset(queue));
            map.put("atTime", consumer(args).searchOffset(queue, args.number("timestamp", 0)));
            map.put("committed", consumer(args).fetchConsumeOffset(queue, true));
            return map;
        });
        commands.put("commitPulled", args -> {
            DefaultMQPullConsumer consumer = consumer(args);
            consumer.updateConsumeOffset(Shapes.queue(args.object("queue")), args.number("offset", 0));
            consumer.getDefaultMQPullConsumerImpl().getOffsetStore().persistAll(
                java.util.Set.of(Shapes.queue(args.object("queue"))));
            return null;
        });
        commands.put("stopPull", args -> {
            CONSUMERS.remove(args.text("consumer")).shutdown();
            return null;
        });
    }

    private static DefaultMQPullConsumer consumer(Args args) {
        DefaultMQPullConsumer consumer = CONSUMERS.get(args.text("consumer"));
        if (consumer == null) throw new IllegalArgumentException("no consumer " + args.text("consumer"));
        return consumer;
    }

    private static Map<String, Object> shapeOf(PullResult result) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("status", result.getPullStatus().name());
        map.put("next", result.getNextBeginOffset());
        map.put("min", result.getMinOffset());
        map.put("max", result.getMaxOffset());
        map.put("messages", Shapes.ofAll(result.getMsgFoundList() == null ? java.util.List.of() : result.getMsgFoundList()));
        return map;
    }
}
