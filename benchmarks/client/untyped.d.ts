// Types of the part of ali-ons that the benchmark uses; the package has none.
declare module 'ali-ons' {
  interface Options {
    readonly nameSrv: string
    readonly httpclient: object
    readonly producerGroup?: string
    readonly consumerGroup?: string
    readonly consumeFromWhere?: 'CONSUME_FROM_FIRST_OFFSET'
    readonly parallelConsumeLimit?: number
  }

  interface AliMessage {
    readonly body: Buffer
  }

  export class Message {
    readonly topic: string
    constructor(topic: string, tags: string, body: Buffer)
  }

  export class Producer {
    constructor(options: Options)
    ready(): Promise<void>
    on(event: 'error', listener: (error: Error) => void): this
    send(message: Message): Promise<unknown>
    close(): Promise<void>
  }

  export class Consumer {
    constructor(options: Options)
    ready(): Promise<void>
    on(event: 'error', listener: (error: Error) => void): this
    subscribe(topic: string, expression: string, handler: (message: AliMessage) => Promise<void>): void
    close(): Promise<void>
  }
}
