import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Consumes, type EventConsumer } from './event';

export interface RegisteredConsumer {
  readonly name: string;
  readonly eventTypes: readonly string[];
  readonly consumer: EventConsumer;
}

/** All providers under `@Consumes`, found once everything is constructed. */
@Injectable()
export class Consumers {
  constructor(private readonly discovery: DiscoveryService) {}

  /** @throws Error when two have one name */
  all(): RegisteredConsumer[] {
    const found = this.discovery.getProviders({ metadataKey: Consumes.KEY }).map((wrapper) => {
      const options = this.discovery.getMetadataByDecorator(Consumes, wrapper);
      if (!options) throw new Error('A consumer was found without its options');
      return { ...options, consumer: wrapper.instance as EventConsumer };
    });
    const names = new Set(found.map(({ name }) => name));
    if (names.size !== found.length) throw new Error('Two consumers of events have one name');
    return found;
  }
}
