import { PolicyRefusal } from './policy-refusal';

describe('PolicyRefusal', () => {
  it('has no stack trace, and leaves other errors theirs', () => {
    const refusal = new PolicyRefusal(429, 'rate_limited', 'Rate limit exceeded', 'Try again in 1 s');
    expect(refusal.stack).not.toMatch(/^ +at /m);
    expect(refusal.message).toBe('Try again in 1 s');
    expect(new Error('other').stack).toMatch(/^ +at /m);
  });
});
