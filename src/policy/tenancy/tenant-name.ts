/** The alphabet of a tenant's identifier; what a token claims beyond it is refused. */
const tenantPattern = /^[A-Za-z0-9_.:-]{1,64}$/;

export function isTenantName(claimed: string): boolean {
  return tenantPattern.test(claimed);
}
