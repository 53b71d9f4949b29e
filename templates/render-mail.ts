/** Mails, as HTML and as plain text. Pure: the same notices at the same time give the same mail. */
import { printable } from '../model/names';
import { loadTemplate, loadText } from './engine';
import { mailPage, type MailFacts, type MailPage } from './mail-page';
import { printableDeep } from './printable';

const html = loadTemplate<MailPage>('mail');
const text = loadTemplate<MailPage>('mail/text', 'plain text');
const css = loadText('mail', 'mail.css');

export interface RenderedMail {
  /** One line. */
  readonly subject: string;
  readonly html: string;
  readonly text: string;
}

/** Foreign text on one line each, free of terminal sequences and controls, so that none can become a line or a header of its own. */
export function renderMail(facts: MailFacts): RenderedMail {
  const page = mailPage({ ...facts, notices: printableDeep(facts.notices, printable) }, css);
  return { subject: page.subject, html: html(page), text: text(page) };
}
