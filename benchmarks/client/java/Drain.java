import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;

/** Consumes a topic from its start with a listener that does nothing and the default threads and batches. */
final class Drain implements Worker.Work {
    private final DefaultMQPushConsumer consumer;

    Drain(String nameServers, Map<String, String> options) throws Exception {
        long skip = Long.parseLong(options.get("skip"));
        long all = Long.parseLong(options.get("messages"));
        AtomicLong seen = new AtomicLong();
        consumer = new DefaultMQPushConsumer(options.get("group"));
        consumer.setNamesrvAddr(nameServers);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(options.get("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            int many = messages.size();
            Worker.METER.countAll(many);
            long now = seen.addAndGet(many);
            if (now >= skip && now - many < skip) Worker.METER.report("begun");
            if (now >= all && now - many < all) Worker.METER.report("done");
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    @Override
    public void close() {
        consumer.shutdown();
    }
}
