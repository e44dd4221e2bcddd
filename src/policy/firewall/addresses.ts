import { isIPv4, isIPv6 } from 'node:net';

const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;
const withPort = /^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$/;

/**
 * What the address limit counts under: an IPv4 address, or the /64 of an IPv6 one, which is the smallest block that a
 * network gives to one subscriber (RFC 6177, RIPE-690). An IPv4-mapped address counts as the IPv4 address it holds.
 * Text that is no address at all shares one key.
 */
export function addressKey(ip: string): string {
  if (!ip.includes(':')) return isIPv4(ip) ? ip : 'unknown';
  const inner = mapped.exec(ip) ?? withPort.exec(ip);
  if (inner?.[1] !== undefined) return isIPv4(inner[1]) ? inner[1] : 'unknown';
  return isIPv6(ip) ? prefixOf(ip) : 'unknown';
}

/** The first four groups, without leading zeros; or the IPv4 address of a mapped one that is written in hexadecimal. */
function prefixOf(ip: string): string {
  const [head = '', tail] = (ip.split('%', 1)[0] ?? '').toLowerCase().split('::');
  const groups = groupsOf(head);
  if (tail !== undefined) {
    const after = groupsOf(tail);
    while (groups.length + after.length < 8) groups.push(0);
    groups.push(...after);
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, high = 0, low = 0] = groups;
  if (f === 0xffff && a + b + c + d + e === 0) return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}:${d.toString(16)}::/64`;
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  const groups: number[] = [];
  for (const part of text.split(':')) {
    if (part.includes('.')) {
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      groups.push((a << 8) | b, (c << 8) | d);
    } else {
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}
