// Runs a broker. architecture.test.ts starts it and sends messages; it answers each with the functions that have run since the one
// before.
import { Broker } from '@gantrymq/broker'
import { ManualClock } from '@gantrymq/remoting/testing'
import { startRecording } from './recording.ts'

const take = await startRecording()
// A timer of the broker that ran in between would look like a part of a request, so the clock stands still.
const broker = await Broker.start({ host: '127.0.0.1', port: 0, clock: new ManualClock() })
process.on('message', () => void take().then(recording => process.send?.(recording)))
process.on('disconnect', () => void broker.close())
process.send?.(broker.address.port)
