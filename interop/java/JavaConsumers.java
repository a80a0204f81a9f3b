import java.nio.charset.StandardCharsets;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.consumer.AllocateMessageQueueStrategy;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragelyByCircle;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueConsistentHash;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Commands of push consumers. Each received message is printed as an event before it is acknowledged. */
final class JavaConsumers {
    private static final Map<String, DefaultMQPushConsumer> CONSUMERS = new ConcurrentHashMap<>();
    private static DefaultMQProducer replies;

    static void addTo(Map<String, JavaClient.Command> commands) {
        commands.put("consume", JavaConsumers::consume);
        commands.put("queues", args -> queuesOf(consumer(args)));
        commands.put("suspend", args -> {
            consumer(args).suspend();
            return null;
        });
        commands.put("resume", args -> {
            consumer(args).resume();
            return null;
        });
        commands.put("stopConsumer", args -> {
            DefaultMQPushConsumer consumer = CONSUMERS.remove(args.text("consumer"));
            awaitIdle(consumer);
            persist(consumer);
            consumer.shutdown();
            return null;
        });
    }

    private static DefaultMQPushConsumer consumer(Args args) {
        DefaultMQPushConsumer consumer = CONSUMERS.get(args.text("consumer"));
        if (consumer == null) throw new IllegalArgumentException("no consumer " + args.text("consumer"));
        return consumer;
    }

    private static Object consume(Args args) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(
            args.text("group"), JavaProducers.hook(args), strategy(args.text("allocate", "AVG")), args.is("trace"), null);
        JavaProducers.configure(consumer, args);
        configure(consumer, args);
        for (Map.Entry<String, Object> each : args.object("subscriptions").asMap().entrySet()) {
            if (each.getValue() instanceof String) consumer.subscribe(each.getKey(), (String) each.getValue());
            else consumer.subscribe(each.getKey(), MessageSelector.bySql((String) ((Map<?, ?>) each.getValue()).get("sql")));
        }
        listen(consumer, args);
        consumer.start();
        CONSUMERS.put(args.text("consumer"), consumer);
        return Map.of("clientId", consumer.buildMQClientId().contains("DEFAULT")
            ? consumer.buildMQClientId()
            : consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId());
    }

    /** Waits for messages that were printed but not yet acknowledged: after a shutdown they would arrive again. */
    private static void awaitIdle(DefaultMQPushConsumer consumer) throws InterruptedException {
        var processQueues = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().values();
        long end = System.currentTimeMillis() + 2_000;
        while (processQueues.stream().anyMatch(queue -> queue.getMsgCount().get() > 0) && System.currentTimeMillis() < end) Thread.sleep(5);
        // Apache updates the offset just after it removes the message.
        Thread.sleep(20);
    }

    /**
     * Stores the offsets at the broker some time before the consumer stores them again on shutdown. If the first two offsets of
     * a group in a topic arrive at the same time, as from Java, the broker loses one (ConsumerOffsetManager.commitOffset).
     */
    private static void persist(DefaultMQPushConsumer consumer) throws InterruptedException {
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        Thread.sleep(100);
    }

    private static AllocateMessageQueueStrategy strategy(String name) {
        if (name.equals("AVG_BY_CIRCLE")) return new AllocateMessageQueueAveragelyByCircle();
        if (name.equals("CONSISTENT_HASH")) return new AllocateMessageQueueConsistentHash();
        return new AllocateMessageQueueAveragely();
    }

    private static ConsumeFromWhere where(String from) {
        if (from.equals("first")) return ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET;
        return from.equals("last") ? ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET : ConsumeFromWhere.CONSUME_FROM_TIMESTAMP;
    }

    private static void configure(DefaultMQPushConsumer consumer, Args args) throws Exception {
        consumer.setConsumeFromWhere(where(args.text("from", "first")));
        if (args.has("fromTime")) {
            consumer.setConsumeTimestamp(new SimpleDateFormat("yyyyMMddHHmmss").format(new Date(args.number("fromTime", 0))));
        }
        int threads = (int) args.number("threads", 4);
        consumer.setConsumeThreadMin(threads);
        consumer.setConsumeThreadMax(threads);
        consumer.setConsumeMessageBatchMaxSize((int) args.number("batchSize", 1));
        consumer.setMaxReconsumeTimes((int) args.number("maxReconsumeTimes", -1));
        consumer.setSuspendCurrentQueueTimeMillis(args.number("suspendMs", 100));
        consumer.setPersistConsumerOffsetInterval(1000);
        // The package of the enum differs between the release lines.
        if (args.is("broadcast")) setBroadcasting(consumer);
        if (args.is("brokerAssigns")) Later.call(consumer, "setClientRebalance", false);
    }

    private static void setBroadcasting(DefaultMQPushConsumer consumer) {
        var models = consumer.getMessageModel().getDeclaringClass().getEnumConstants();
        for (var model : models) if (model.name().equals("BROADCASTING")) consumer.setMessageModel(model);
    }

    private static void listen(DefaultMQPushConsumer consumer, Args args) {
        Listener listener = new Listener(args);
        if (args.is("orderly")) consumer.registerMessageListener((MessageListenerOrderly) listener::orderly);
        else consumer.registerMessageListener((MessageListenerConcurrently) listener::concurrently);
    }

    private static List<Map<String, Object>> queuesOf(DefaultMQPushConsumer consumer) {
        List<Map<String, Object>> list = new ArrayList<>();
        var table = consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable();
        table.forEach((queue, process) -> {
            Map<String, Object> map = Shapes.of(queue);
            map.put("locked", process.isLocked());
            list.add(map);
        });
        var pops = Later.get(consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl(), "getPopProcessQueueTable");
        if (pops instanceof Map) {
            for (Object queue : ((Map<?, ?>) pops).keySet()) {
                Map<String, Object> map = Shapes.of((org.apache.rocketmq.common.message.MessageQueue) queue);
                map.put("pop", true);
                list.add(map);
            }
        }
        return list;
    }

    private static synchronized DefaultMQProducer replies() throws Exception {
        if (replies != null) return replies;
        DefaultMQProducer producer = new DefaultMQProducer("java-replies");
        producer.setNamesrvAddr(JavaClient.nameServers);
        producer.start();
        return replies = producer;
    }

    /** Prints each received message, and fails as often as the settings say. */
    private static final class Listener {
        private final Args args;
        private final Map<String, Integer> times = new ConcurrentHashMap<>();

        Listener(Args args) {
            this.args = args;
        }

        private boolean fails(List<MessageExt> messages) {
            boolean fails = false;
            for (MessageExt message : messages) {
                String body = new String(message.getBody(), StandardCharsets.UTF_8);
                int time = times.merge(body, 1, Integer::sum);
                tell(message);
                if (time <= args.number("failTimes", 0)) fails = true;
                else if (args.is("reply")) reply(message, body);
            }
            if (fails && args.is("throws")) throw new IllegalStateException("the settings of this test make the listener fail");
            return fails;
        }

        private void tell(MessageExt message) {
            Map<String, Object> event = new LinkedHashMap<>();
            event.put("consumer", args.text("consumer"));
            event.put("message", Shapes.of(message));
            event.put("at", System.currentTimeMillis());
            JavaClient.event("received", event);
        }

        private void reply(MessageExt message, String body) {
            try {
                byte[] answer = ("reply to " + body).getBytes(StandardCharsets.UTF_8);
                replies().send(MessageUtil.createReplyMessage(message, answer), 3000);
            } catch (Exception e) {
                JavaClient.event("replyFailed", Map.of("reason", String.valueOf(e)));
            }
        }

        ConsumeConcurrentlyStatus concurrently(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
            pause();
            if (!fails(messages)) return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
            context.setDelayLevelWhenNextConsume((int) args.number("delayLevel", 0));
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        }

        ConsumeOrderlyStatus orderly(List<MessageExt> messages, ConsumeOrderlyContext context) {
            pause();
            return fails(messages) ? ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT : ConsumeOrderlyStatus.SUCCESS;
        }

        private void pause() {
            try {
                Thread.sleep(args.number("workMs", 0));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
