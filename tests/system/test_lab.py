#!/usr/bin/python3
"""The laboratory itself: its zones answer, signed, and Postfix takes mail. When this fails, nothing else can be believed."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.hosts import DNS, POSTFIX  # noqa: E402


def test_zones_are_served_and_signed(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    out = subprocess.run(["kdig", f"@{DNS}", "+short", "sink.test", "MX"], capture_output=True, text=True).stdout
    lab.equal(out.strip(), "10 mx.sink.test.", "the MX of sink.test")


def test_postfix_delivers_to_its_mailbox(folder):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    net.start_postfix()
    sent = lab.message(1, 3000)
    code, _ = lab.send(POSTFIX, "sender@client.test", ["inbox@postfix.test"], sent)
    lab.equal(code, "250", "Postfix's answer to the final dot")
    got = lab.wait_for(net.postfix_mail, "the message in Postfix's mailbox")
    lab.equal(lab.client.digest(got[0]), lab.client.digest(sent), "what arrived")


lab.main(globals())
