// Runs the server that its argument names, a name server or a broker. architecture.test.ts starts it and sends messages; it answers
// each with the functions that have run since the one before.
import { Broker } from '@gantrymq/broker'
import { NameServer } from '@gantrymq/namesrv'
import { ManualClock } from '@gantrymq/remoting/testing'
import { startRecording } from './recording.ts'

const take = await startRecording()
// A timer of the server that ran in between would look like a part of a request, so the clock stands still.
const options = { host: '127.0.0.1', port: 0, clock: new ManualClock() }
const server = process.argv[2] === 'broker' ? await Broker.start(options) : await NameServer.start(options)
process.on('message', () => void take().then(recording => process.send?.(recording)))
process.on('disconnect', () => void server.close())
process.send?.(server.address.port)
