import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiOperation, ApiParam } from '@nestjs/swagger';
import {
  Audited,
  type Caller,
  CurrentCaller,
  pageOf,
  PageQuery,
  Reserved,
  Responds,
  Roles,
  Tenant,
} from '../../policy';
import { patientPermissions } from '../patients';
import { aboutAll } from './bookings.audit';
import { BookingsService } from './bookings.service';
import { AppointmentDetails } from './dto/appointment.view';

@Controller('patients/:id/appointments')
@Tenant('practice')
@Reserved('critical')
export class PatientAppointmentsController {
  constructor(private readonly bookings: BookingsService) {}

  @Get()
  @ApiOperation({ summary: 'List a patient’s appointments' })
  @Roles(...patientPermissions['patients.appointments'])
  @Audited('appointment.list', aboutAll)
  @ApiParam({ name: 'id', example: 'pat_01jz0000000000000000000001' })
  @Responds(200, pageOf(AppointmentDetails))
  list(@CurrentCaller() caller: Caller, @Param('id') id: string, @Query() query: PageQuery) {
    return this.bookings.ofPatient(caller, id, query);
  }
}
