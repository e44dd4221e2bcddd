export { type Mail, Mailer, MailFailed } from './mailer';
