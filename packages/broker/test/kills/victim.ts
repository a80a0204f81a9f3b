// A broker that ends itself with SIGKILL at one operation of its disk.
//
// node victim.ts FOLDER FLUSH_MODE AGE FAILPOINT
import { Broker } from '@gantrymq/broker'
import { systemClock } from '@gantrymq/remoting'
import { NodeDisk } from '@gantrymq/store'
import { type Failpoint, FailpointDisk } from './failpoint-disk.ts'

/** Syncs, checkpoints and writes of tables come so many times as often, that a short run has enough of them. */
const HASTE = 20

// AGE: how much later it is for the broker, milliseconds; so old are its files.
const [folder, flushDiskType, age, failpoint] = process.argv.slice(2)
const broker = await Broker.start({
  storePathRootDir: folder!,
  flushDiskType: flushDiskType as 'ASYNC_FLUSH' | 'SYNC_FLUSH',
  disk: new FailpointDisk(new NodeDisk(), folder!, JSON.parse(failpoint!) as Failpoint),
  clock: {
    ...systemClock,
    now: () => systemClock.now() + Number(age),
    every: (ms, tick) => systemClock.every(Math.ceil(ms / HASTE), tick),
  },
  // Expired files are deleted when an operator asks for it, and not by themselves while the messages are being checked.
  deleteWhen: String((new Date().getHours() + 12) % 24).padStart(2, '0'),
  diskMaxUsedSpaceRatio: 100,
  cleanFileForciblyEnable: false,
  port: 0,
  host: '127.0.0.1',
  httpEnabled: false,
  mappedFileSizeCommitLog: 65_536,
  mappedFileSizeConsumeQueue: 2000,
  maxHashSlotNum: 100,
  maxIndexNum: 400,
  maxMessageSize: 4096,
})
console.log(broker.address.port)
// Whatever happens to the test, this process does not stay behind.
process.stdin.on('end', () => process.exit(1)).resume()
