/** What a `Content-Type` says, as far as a body's reader needs it (RFC 9110 §8.3). */
export interface MediaType {
  /** `application/json`, in lower case, without parameters. */
  readonly essence: string;
  /** The `charset` parameter in lower case, if there is one. */
  readonly charset: string | undefined;
}

const syntax = /^[ \t]*([!#$%&'*+.^`|~\w-]{1,127}\/[!#$%&'*+.^`|~\w-]{1,127})[ \t]*(?:;|$)/;
const charsetParameter = /;[ \t]*charset[ \t]*=[ \t]*(?:"([^"]{0,40})"|([^;"\s]{0,40}))/i;
const plainJson: MediaType = { essence: 'application/json', charset: undefined };

/** Reads a `Content-Type`; `undefined` where there is none or it is malformed. */
export function mediaTypeOf(contentType: string | undefined): MediaType | undefined {
  if (contentType === 'application/json') return plainJson;
  const essence = contentType === undefined ? undefined : syntax.exec(contentType)?.[1];
  if (contentType === undefined || essence === undefined) return undefined;
  const charset = charsetParameter.exec(contentType);
  return { essence: essence.toLowerCase(), charset: (charset?.[1] ?? charset?.[2])?.toLowerCase() };
}

/** Whether the body is JSON: `application/json`, or a type with the suffix `+json` (RFC 6839 §3.1). */
export function isJson({ essence }: MediaType): boolean {
  return essence === 'application/json' || essence.endsWith('+json');
}

/** Whether text in that type is UTF-8. JSON between systems is nothing else (RFC 8259 §8.1); US-ASCII is a part of it. */
export function isUtf8({ charset }: MediaType): boolean {
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
}
