import { type MessageContext, type MessageMaker, ReceivedMessage } from '../../message/received-message.ts'
import { badOption } from '../../options.ts'
import { DeliveredMessage, DeliveredMessages } from './delivered-messages.ts'
import type { MessageHandler, Listener, ListenerContext, Outcome } from './listener.ts'

interface Listeners<Body> {
  readonly onMessage?:
    | ((message: ReceivedMessage<Body>, context: ListenerContext) => Outcome | Promise<Outcome>)
    | undefined
  readonly onMessages?: Listener<Body> | undefined
}

/** The handler that the options ask for. @throws ClientError BAD_OPTION */
export function handlerOf<Body>({ onMessage, onMessages }: Listeners<Body>, batchSize: number): MessageHandler<Body> {
  if (onMessage !== undefined) check('onMessage', onMessage)
  if (onMessages !== undefined) check('onMessages', onMessages)
  if (onMessage !== undefined && onMessages !== undefined) {
    throw badOption('PushConsumer', 'onMessages', onMessages, 'left out where onMessage is given')
  }
  if (onMessages !== undefined) return { handle: onMessages }
  if (batchSize > 1) throw badOption('PushConsumer', 'batchSize', batchSize, '1 without onMessages')
  if (onMessage === undefined) return new DeliveredMessages<Body>()
  return { handle: (messages, context) => onMessage(messages[0] as ReceivedMessage<Body>, context) }
}

function check(name: string, value: unknown): void {
  if (typeof value !== 'function') throw badOption('PushConsumer', name, value, 'a function')
}

/** Makes the messages that the handler needs. */
export function messageMaker<Body>(handler: MessageHandler<Body>, context: MessageContext<Body>): MessageMaker<Body> {
  if (handler instanceof DeliveredMessages) return (view, queue) => new DeliveredMessage(view, queue, context)
  return (view, queue) => new ReceivedMessage(view, queue, context)
}
