import java.io.File;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.compression.CompressionType;
import org.apache.rocketmq.common.compression.Compressor;
import org.apache.rocketmq.common.compression.CompressorFactory;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * Bodies write FOLDER: compresses FOLDER/body.txt with each of Apache's compressors to FOLDER/body-TYPE.bin, and writes two
 * messages to FOLDER/inner-batch.bin in the form in which a 5.x broker stores a batch.
 * Bodies read FOLDER: decompresses each FOLDER/NAME-TYPE.bin and compares it with body.txt. Prints `NAME-TYPE.bin same` or
 * `NAME-TYPE.bin differs`.
 */
public final class Bodies {
    public static void main(String[] args) throws Exception {
        boolean write = args[0].equals("write");
        byte[] body = Files.readAllBytes(Path.of(args[1], "body.txt"));
        for (CompressionType type : CompressionType.values()) {
            String end = "-" + type.name().toLowerCase() + ".bin";
            Compressor compressor = CompressorFactory.getCompressor(type);
            if (write) Files.write(Path.of(args[1], "body" + end), compressor.compress(body, 5));
            else read(compressor, new File(args[1]).listFiles((folder, name) -> name.endsWith(end)), body);
        }
        if (write) Files.write(Path.of(args[1], "inner-batch.bin"), innerBatch());
    }

    private static void read(Compressor compressor, File[] files, byte[] body) throws Exception {
        for (File file : files) {
            byte[] read = compressor.decompress(Files.readAllBytes(file.toPath()));
            System.out.println(file.getName() + (Arrays.equals(read, body) ? " same" : " differs"));
        }
    }

    private static byte[] innerBatch() throws Exception {
        Message first = new Message("TopicTest", "A", "K1", 7, "Hi".getBytes("UTF-8"), true);
        Message second = new Message("TopicTest", "B", "K2 K3", 8, "there".getBytes("UTF-8"), true);
        MessageExt batch = new MessageExt();
        batch.setTopic("TopicTest");
        batch.setQueueId(2);
        batch.setQueueOffset(40);
        batch.setCommitLogOffset(1024);
        batch.setSysFlag(0xC0);
        batch.setBornTimestamp(1700000000000L);
        batch.setBornHost(new InetSocketAddress(InetAddress.getByName("192.168.0.10"), 50000));
        batch.setStoreTimestamp(1700000000123L);
        batch.setStoreHost(new InetSocketAddress(InetAddress.getByName("192.168.0.20"), 10911));
        batch.setBody(MessageDecoder.encodeMessages(List.of(first, second)));
        batch.setBodyCRC(UtilAll.crc32(batch.getBody()));
        return MessageDecoder.encode(batch, false);
    }
}
