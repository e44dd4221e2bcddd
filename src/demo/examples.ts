import type { OpenAPIObject } from '@nestjs/swagger';

const millisADay = 86_400_000;

/** Puts identifiers of the demo data into the examples, so that "Try it out" works as it stands. */
export function useDemoExamples(document: OpenAPIObject): void {
  const day = new Date(Date.now() + 2 * millisADay).toISOString().slice(0, 10);
  const slot = (time: string) => `slot_demo001${day.replaceAll('-', '')}${time}`;
  setExample(document, 'BookAppointment', 'patientId', 'pat_demo0001');
  setExample(document, 'BookAppointment', 'slotId', slot('1600'));
  setExample(document, 'RescheduleAppointment', 'slotId', slot('1630'));
  for (const [path, item] of Object.entries(document.paths)) {
    for (const operation of [item.get, item.post, item.patch]) {
      for (const parameter of operation?.parameters ?? []) {
        if (!('name' in parameter)) continue;
        if (parameter.name === 'date') parameter.example = day;
        if (parameter.name === 'id' && path.startsWith('/patients/')) {
          Object.assign(parameter.schema ?? {}, { example: 'pat_demo0001' });
        }
      }
    }
  }
}

function setExample(document: OpenAPIObject, schema: string, property: string, example: string): void {
  const found = document.components?.schemas?.[schema];
  const target = found && 'properties' in found ? found.properties?.[property] : undefined;
  if (target) Object.assign(target, { example }); // its domain may have been deleted
}
