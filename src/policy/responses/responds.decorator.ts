import type { Type } from '@nestjs/common';
import { Reflector } from '@nestjs/core';

/** What a route answers when it succeeds. */
export interface Answer {
  readonly status: number;
  /** The DTO whose `@ApiProperty` fields are all that may leave; `undefined` for an answer without a body. */
  readonly view: Type | undefined;
  /** The media type of an answer that is streamed past the allow-list. */
  readonly stream?: string;
}

const Metadata = Reflector.createDecorator<Answer>();

/** The status and the allow-list of a route's answer: a property that `view` does not list never leaves. */
export const Responds = Object.assign((status: number, view?: Type) => Metadata({ status, view }), {
  KEY: Metadata.KEY,
});

/**
 * For a route whose handler answers with a `StreamableFile`: no allow-list stands behind it, so the handler alone says what
 * leaves.
 */
export const Streams = (status: number, mediaType: string) => Metadata({ status, view: undefined, stream: mediaType });
