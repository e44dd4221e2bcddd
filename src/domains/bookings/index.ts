export { BookingsModule } from './bookings.module';
export { bookingPermissions } from './bookings.permissions';
