import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";

/** The mail server of the tests refuses this recipient for good. */
export const bouncing = "bounces@example.com";

export interface MailServer {
  port: number;
  /** The recipients of the mails that it took, a line each. */
  taken: string;
  stop: () => void;
}

export const isMailed = (taken: string, to: string) =>
  existsSync(taken) && readFileSync(taken, "utf8").split("\n").includes(to);

/** Starts a mail server on this machine. */
export async function startMailServer(): Promise<MailServer> {
  const dir = mkdtempSync(path.join(tmpdir(), "spillway-mails-"));
  const taken = path.join(dir, "recipients");
  const server = createServer((socket) => serve(socket, (to) => appendFileSync(taken, `${to}\n`)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (!address || typeof address === "string") throw new Error("the mail server has no port");
  const stop = () => {
    server.close();
    rmSync(dir, { recursive: true });
  };
  return { port: address.port, taken, stop };
}

/** Speaks as much SMTP as the shop does. */
function serve(socket: Socket, take: (to: string) => void) {
  let data = false;
  let to = "";
  const reply = (text: string) => socket.write(`${text}\r\n`);
  socket.on("error", () => undefined);
  reply("220 mail.test ESMTP");
  const lines = createInterface({ input: socket });
  // The shop may be killed in the middle of a mail.
  lines.on("error", () => undefined);
  lines.on("line", (line) => {
    if (data) {
      if (line !== ".") return;
      data = false;
      take(to);
      return reply("250 taken");
    }
    switch (line.slice(0, 4).toUpperCase()) {
      case "EHLO":
        return reply("250-mail.test\r\n250 8BITMIME");
      case "RCPT":
        to = /<(.*?)>/.exec(line)?.[1] ?? "";
        return reply(to === bouncing ? "550 5.1.1 no such mailbox" : "250 ok");
      case "DATA":
        data = true;
        return reply("354 go on");
      case "QUIT":
        return reply("221 bye");
      default:
        return reply("250 ok");
    }
  });
}
