import type { MessageView } from '@gantrymq/protocol'
import { badOption } from '../../options.ts'
import type { MessageQueue } from '../../message/message.ts'
import { DeliveredMessage, Inbox } from './delivered-messages.ts'
import type { Handler, Listener, ListenerContext, Outcome } from './listener.ts'
import { type MessageContext, ReceivedMessage } from '../../message/received-message.ts'

interface Listeners<Body> {
  readonly onMessage?:
    | ((message: ReceivedMessage<Body>, context: ListenerContext) => Outcome | Promise<Outcome>)
    | undefined
  readonly onMessages?: Listener<Body> | undefined
}

/** Who consumes, as the options say. @throws ClientError BAD_OPTION */
export function handlerOf<Body>({ onMessage, onMessages }: Listeners<Body>, batchSize: number): Handler<Body> {
  if (onMessage !== undefined) check('onMessage', onMessage)
  if (onMessages !== undefined) check('onMessages', onMessages)
  if (onMessage !== undefined && onMessages !== undefined) {
    throw badOption('PushConsumer', 'onMessages', onMessages, 'left out where onMessage is given')
  }
  if (onMessages !== undefined) return { handle: onMessages }
  if (batchSize > 1) throw badOption('PushConsumer', 'batchSize', batchSize, '1 without onMessages')
  if (onMessage === undefined) return new Inbox<Body>()
  return { handle: (messages, context) => onMessage(messages[0] as ReceivedMessage<Body>, context) }
}

function check(name: string, value: unknown): void {
  if (typeof value !== 'function') throw badOption('PushConsumer', name, value, 'a function')
}

/** Makes the user's messages of what is pulled. */
export function messageMaker<Body>(handler: Handler<Body>, context: MessageContext<Body>) {
  if (handler instanceof Inbox) {
    return (view: MessageView, queue: MessageQueue) => new DeliveredMessage(view, queue, context)
  }
  return (view: MessageView, queue: MessageQueue) => new ReceivedMessage(view, queue, context)
}
