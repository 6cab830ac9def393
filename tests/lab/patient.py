# SPDX-License-Identifier: BSD-2-Clause
#
# The patient at home: sends chat messages by XMPP and ends when the server has taken them.
# Arguments: ADDRESS:PORT FROM PASSWORD TO TEXT...

import asyncio
import sys

import slixmpp


class Patient(slixmpp.ClientXMPP):
    def __init__(self, name, password, to, texts):
        super().__init__(name, password)
        self.to, self.texts, self.told = to, texts, False
        self.register_plugin("xep_0199")
        self.add_event_handler("session_start", self.start)
        for event in ("failed_auth", "connection_failed"):
            self.add_event_handler(event, self.disconnect)

    async def start(self, _):
        self.send_presence()
        for text in self.texts:
            self.send_message(mto=self.to, mbody=text, mtype="chat")
        # The server takes stanzas in their order: an answer to this one is a receipt for those.
        await self["xep_0199"].ping(self.boundjid.host)
        self.told = True
        self.disconnect()


def main():
    address, name, password, to, *texts = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    patient = Patient(name, password, to, texts)
    patient.connect((host, int(port)), disable_starttls=True)
    patient.loop.run_until_complete(asyncio.wait_for(patient.disconnected, 20))
    return 0 if patient.told else 1


if __name__ == "__main__":
    sys.exit(main())
