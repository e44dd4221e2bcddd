/** Any Unicode text of one line with something to see in it: no control characters, no halves of surrogate pairs. */
export const lineOfText = '^(?=.*\\S)[^\\p{Cc}\\p{Cs}]*$';

/** As `lineOfText`, with line breaks and tabs. */
export const linesOfText = '^(?:[^\\p{Cc}\\p{Cs}]|[\\t\\n\\r])*$';

/** 7 to 15 digits (ITU-T E.164) as people write them. */
export const phoneNumber = '^\\+?(?:[ ().\\/-]{0,3}[0-9]){7,15}$';

/** Some digits of a phone number, to search by. */
export const partOfPhoneNumber = '^\\+?(?:[ ().\\/-]{0,3}[0-9]){3,20}$';

/** A day's year that somebody alive can be born in; the calendar checks the rest. */
export const yearOfBirth = '^(?:19|20)[0-9]{2}-';
