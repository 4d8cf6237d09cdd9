"""Replies as people and mail programs write them; all of them synthetic."""


def crlf(text: str) -> bytes:
    return text.lstrip("\n").replace("\r\n", "\n").replace("\n", "\r\n").encode()


def written(
    to: str,
    text: str,
    *,
    sender: str = "asha@therapists.example",
    in_reply_to: str = "",
    headers: str = "",
    message_id: str = "<words-1@mail.example>",
    html: bool = False,
) -> bytes:
    """A reply in words."""
    reply = f"In-Reply-To: {in_reply_to}\nReferences: {in_reply_to}\n" if in_reply_to else ""
    return crlf(f"""
Message-ID: {message_id}
From: Asha <{sender}>
To: {to}
Subject: Re: Dee, Wed 4 Nov 10:00
{reply}{headers}MIME-Version: 1.0
Content-Type: text/{"html" if html else "plain"}; charset=utf-8
Content-Transfer-Encoding: 8bit

{text}
""")


QUOTE = (
    "New request: Dee asks for a session.\n\nHello Asha,\n\nAccept:\nhttps://x.test/link/accept/abc"
)
QUOTED = "\n".join(f"> {line}" for line in QUOTE.splitlines())
# What stands between the new text and the email that it replies to, by program.
SEPARATORS = {
    "gmail": f"\n\nOn Mon, 2 Nov 2026 at 09:05, Mindsum <b@x.example> wrote:\n\n{QUOTED}",
    "gmail_wrapped": (
        f"\n\nOn Mon, 2 Nov 2026 at 09:05, Mindsum\n<book+t1-ab@in.example> wrote:\n{QUOTED}"
    ),
    "german": f"\n\nAm 02.11.2026 um 09:05 schrieb Mindsum <b@x.example>:\n{QUOTED}",
    "french": f"\n\nLe lun. 2 nov. 2026 à 09:05, Mindsum <b@x.example> a écrit :\n{QUOTED}",
    "outlook_desktop": (
        "\n\nFrom: Mindsum <b@x.example>\nSent: 02 November 2026 09:05\nTo: Asha\n"
        f"Subject: Dee, Wed 4 Nov 10:00\n\n{QUOTE}"
    ),
    "outlook_web": (
        f"\n\n{'_' * 32}\nFrom: Mindsum <b@x.example>\nSent: Mon\nTo: A\nSubject: D\n{QUOTE}"
    ),
    "outlook_phone": f"\n\nGet Outlook for iOS<https://aka.ms/o0>\n{'_' * 32}\nFrom: M\n{QUOTE}",
    "original_message": f"\n\n-----Original Message-----\nFrom: Mindsum\nSent: Monday\n{QUOTE}",
    "samsung": f"\n\n-------- Original message --------\nFrom: Mindsum\nDate: Monday\n{QUOTE}",
    "iphone": f"\n\nSent from my iPhone\n\n> On 2 Nov 2026, at 09:05, Mindsum wrote:\n> \n{QUOTED}",
    "signature": f"\n\n-- \nAsha Rao\n+44 20 7946 0018\nasha@private.example\n\n{QUOTED}",
    "quote_alone": f"\n{QUOTED}",
    "no_quote_marks": f"\n\n{QUOTE}",
    "nothing": "",
}
NOT_ANSWERS = (
    "Yes, but could it be 15:00?",
    "OK I will look tonight",
    "No problem!",
    "Not sure",
    "+1",
    "👍",
    "No - I am away",
    "yes no",
)

AUTOMATIC = {
    "auto_replied": "Auto-Submitted: auto-replied\n",
    "auto_notified": "Auto-Submitted: auto-notified\n",
    "precedence_bulk": "Precedence: bulk\n",
    "precedence_list": "Precedence: list\n",
    "precedence_junk": "Precedence: junk\n",
    "auto_generated": "Auto-Submitted: auto-generated (failure)\n",
    "auto_reply": "Precedence: auto_reply\n",
    "x_autoreply": "X-Autoreply: yes\n",
    "mailing_list": "List-Id: <therapists.example>\n",
}
AUTOMATIC_SUBJECTS = (
    "Automatic reply: Session",
    "Out of Office: until Monday",
    "Out of the office",
    "Abwesenheitsnotiz: Session",
    "=?utf-8?Q?R=C3=A9ponse_automatique_:_Session?=",
    "Risposta automatica: Session",
    "Away until Monday",
)
