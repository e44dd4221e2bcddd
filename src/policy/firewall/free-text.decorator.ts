import { ApiProperty } from '@nestjs/swagger';

/** The mark in a property's schema: an extension of OpenAPI, so that mapped types inherit it and the document shows it. */
export const freeTextMark = 'x-free-text';

/**
 * Declares a property of a DTO as free text (a chat message, a note): it is data, and no injection signature is looked
 * for in it or in anything beneath it. Every query is parameterised, so what it says cannot harm.
 */
export function FreeText(): PropertyDecorator {
  return ApiProperty({ [freeTextMark]: true } as object);
}
