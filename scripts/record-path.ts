// A name server that tells which functions ran. Started by architecture.test.ts, with a channel for messages: to each
// message it answers with what ran since the one before.
import { NameServer } from '@gantrymq/namesrv'
import { ManualClock } from '@gantrymq/remoting/testing'
import { startRecording } from './recording.ts'

const take = await startRecording()
// No timer of the server may run in between and be taken for a part of a request.
const server = await NameServer.start({ host: '127.0.0.1', port: 0, clock: new ManualClock() })
process.on('message', () => void take().then(recording => process.send?.(recording)))
process.on('disconnect', () => void server.close())
process.send?.(server.address.port)
