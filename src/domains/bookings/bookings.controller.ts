import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiOperation, ApiParam } from '@nestjs/swagger';
import {
  Audited,
  type Caller,
  CurrentCaller,
  Idempotent,
  pageOf,
  Reserved,
  Responds,
  Roles,
  Tenant,
} from '../../policy';
import { aboutAll, aboutOne } from './bookings.audit';
import { bookingPermissions } from './bookings.permissions';
import { BookingsService } from './bookings.service';
import { AppointmentDetails, AppointmentView } from './dto/appointment.view';
import { BookAppointment, RescheduleAppointment } from './dto/book-appointment.dto';
import { ListAppointments } from './dto/slot.view';

const appointmentId = { name: 'id', example: 'appt_01jz0000000000000000000001' };

@Controller('appointments')
@Tenant('practice')
@Reserved('critical')
export class BookingsController {
  constructor(private readonly bookings: BookingsService) {}

  @Post()
  @ApiOperation({ summary: 'Book an appointment' })
  @Roles(...bookingPermissions['appointments.book'])
  @Audited('appointment.book', aboutOne)
  @Idempotent()
  @Responds(201, AppointmentView)
  book(@CurrentCaller() caller: Caller, @Body() request: BookAppointment) {
    return this.bookings.book(caller, request);
  }

  @Get()
  @ApiOperation({ summary: 'List appointments' })
  @Roles(...bookingPermissions['appointments.list'])
  @Audited('appointment.list', aboutAll)
  @Responds(200, pageOf(AppointmentDetails))
  list(@CurrentCaller() caller: Caller, @Query() query: ListAppointments) {
    return this.bookings.list(caller, query);
  }

  @Get(':id')
  @ApiOperation({ summary: 'Get an appointment' })
  @Roles(...bookingPermissions['appointments.read'])
  @Audited('appointment.read', aboutOne)
  @ApiParam(appointmentId)
  @Responds(200, AppointmentDetails)
  get(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.bookings.get(caller, id);
  }

  @Post(':id/cancel')
  @ApiOperation({ summary: 'Cancel an appointment' })
  @Roles(...bookingPermissions['appointments.cancel'])
  @Audited('appointment.cancel', aboutOne)
  @Idempotent()
  @ApiParam(appointmentId)
  @Responds(200, AppointmentDetails)
  cancel(@CurrentCaller() caller: Caller, @Param('id') id: string) {
    return this.bookings.cancel(caller, id);
  }

  @Post(':id/reschedule')
  @ApiOperation({ summary: 'Move an appointment to another slot' })
  @Roles(...bookingPermissions['appointments.reschedule'])
  @Audited('appointment.reschedule', aboutOne)
  @Idempotent()
  @ApiParam(appointmentId)
  @Responds(200, AppointmentDetails)
  reschedule(@CurrentCaller() caller: Caller, @Param('id') id: string, @Body() request: RescheduleAppointment) {
    return this.bookings.reschedule(caller, id, request);
  }
}
