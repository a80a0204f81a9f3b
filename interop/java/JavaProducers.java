import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.MessageQueueSelector;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/** Commands of producers. A producer is started when its settings are first used, and kept. */
final class JavaProducers {
    private static final Map<String, DefaultMQProducer> PRODUCERS = new ConcurrentHashMap<>();
    private static final int TIMEOUT_MS = 30_000;

    static void addTo(Map<String, JavaClient.Command> commands) {
        commands.put("send", JavaProducers::send);
        commands.put("transaction", JavaProducers::transaction);
        commands.put("request", args -> {
            Message reply = producer(args).request(Shapes.message(args.object("message")), args.number("timeoutMs", TIMEOUT_MS));
            return Shapes.of(reply);
        });
        commands.put("recall", args ->
            Later.call(producer(args), "recallMessage", args.text("topic"), args.text("recallHandle")));
        commands.put("publishQueues", args -> Shapes.of(producer(args).fetchPublishMessageQueues(args.text("topic"))));
        commands.put("stopProducer", args -> {
            PRODUCERS.remove(nameOf(args.object("producer"))).shutdown();
            return null;
        });
    }

    /** Signs with the account of the command or, without one, of the process. Null if there is no account. */
    static RPCHook hook(Args settings) {
        String accessKey = settings.text("accessKey", System.getProperty("gantry.accessKey"));
        String secretKey = settings.text("secretKey", System.getProperty("gantry.secretKey"));
        return accessKey == null ? null : new AclClientRPCHook(new SessionCredentials(accessKey, secretKey));
    }

    static void configure(ClientConfig config, Args settings) {
        config.setNamesrvAddr(settings.text("nameServers", JavaClient.nameServers));
        config.setPollNameServerInterval(1000);
        if (settings.has("tls")) config.setUseTLS(settings.is("tls"));
        config.setVipChannelEnabled(settings.is("vip"));
        if (settings.has("namespace")) config.setNamespace(settings.text("namespace"));
        if (settings.has("instanceName")) config.setInstanceName(settings.text("instanceName"));
        if (settings.has("unitName")) config.setUnitName(settings.text("unitName"));
    }

    private static String nameOf(Args settings) {
        return settings.toString();
    }

    private static DefaultMQProducer producer(Args args) throws Exception {
        Args settings = args.object("producer");
        synchronized (PRODUCERS) {
            DefaultMQProducer known = PRODUCERS.get(nameOf(settings));
            if (known != null) return known;
            DefaultMQProducer created = started(settings);
            PRODUCERS.put(nameOf(settings), created);
            return created;
        }
    }

    private static DefaultMQProducer started(Args settings) throws Exception {
        // Both release lines read the property in the constructor; only 5.x has a setter.
        System.setProperty("rocketmq.message.compressType", settings.text("compressType", "ZLIB"));
        DefaultMQProducer producer = producerOf(settings);
        configure(producer, settings);
        if (settings.has("compressOver")) producer.setCompressMsgBodyOverHowmuch((int) settings.number("compressOver", 0));
        if (settings.has("autoBatch")) Later.call(producer, "setAutoBatch", settings.is("autoBatch"));
        producer.setSendMsgTimeout((int) settings.number("timeoutMs", TIMEOUT_MS));
        producer.start();
        return producer;
    }

    private static DefaultMQProducer producerOf(Args settings) {
        String group = settings.text("group", "java-producers");
        if (!settings.is("transactions")) return new DefaultMQProducer(group, hook(settings), settings.is("trace"), null);
        TransactionMQProducer producer = new TransactionMQProducer(null, group, hook(settings), settings.is("trace"), null);
        producer.setTransactionListener(new Outcomes());
        return producer;
    }

    private static Object send(Args args) throws Exception {
        DefaultMQProducer producer = producer(args);
        List<Message> messages = Shapes.messages(args.objects("messages"));
        List<Object> receipts = new ArrayList<>();
        if (args.text("mode", "sync").equals("batch")) receipts.add(Shapes.of(producer.send(messages)));
        else for (Message message : messages) {
            SendResult result = sendOne(producer, message, args);
            if (result != null) receipts.add(Shapes.of(result));
        }
        return receipts;
    }

    private static SendResult sendOne(DefaultMQProducer producer, Message message, Args args) throws Exception {
        String mode = args.text("mode", "sync");
        if (args.has("shardingKey")) {
            MessageQueueSelector byHash = new SelectMessageQueueByHash();
            return producer.send(message, byHash, args.text("shardingKey"));
        }
        if (mode.equals("oneway")) {
            if (args.has("queue")) producer.sendOneway(message, Shapes.queue(args.object("queue")));
            else producer.sendOneway(message);
            return null;
        }
        if (mode.equals("async")) return sendAsync(producer, message);
        return args.has("queue") ? producer.send(message, Shapes.queue(args.object("queue"))) : producer.send(message);
    }

    private static SendResult sendAsync(DefaultMQProducer producer, Message message) throws Exception {
        CompletableFuture<SendResult> sent = new CompletableFuture<>();
        producer.send(message, new SendCallback() {
            @Override
            public void onSuccess(SendResult result) {
                sent.complete(result);
            }

            @Override
            public void onException(Throwable e) {
                sent.completeExceptionally(e);
            }
        });
        return sent.get(TIMEOUT_MS + 5_000, TimeUnit.MILLISECONDS);
    }

    private static Object transaction(Args args) throws Exception {
        TransactionMQProducer producer = (TransactionMQProducer) producer(args);
        Message message = Shapes.message(args.object("message"));
        return Shapes.of(producer.sendMessageInTransaction(message, args.text("local")));
    }

    /** The outcome of the local transaction is the argument of the send, that of a check the message's property `check`. */
    private static final class Outcomes implements TransactionListener {
        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object outcome) {
            return state((String) outcome);
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            JavaClient.event("checked", Map.of("message", Shapes.of(message)));
            return state(message.getUserProperty("check"));
        }

        private static LocalTransactionState state(String outcome) {
            if ("commit".equals(outcome)) return LocalTransactionState.COMMIT_MESSAGE;
            if ("rollback".equals(outcome)) return LocalTransactionState.ROLLBACK_MESSAGE;
            return LocalTransactionState.UNKNOW;
        }
    }
}
