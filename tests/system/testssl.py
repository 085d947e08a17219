#!/usr/bin/python3
"""testssl.sh looks at Postern, by STARTTLS and from the first byte on. Takes minutes: not among the tests that runtests finds.

Nothing above LOW is let pass but what is the laboratory's own doing: its certificates are signed by nobody, live for a month,
and have no revocation."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab  # noqa: E402
from lab.certificate import Certificate  # noqa: E402
from lab.hosts import POSTERN  # noqa: E402

OURS = ("cert_chain_of_trust", "cert_crlDistributionPoints", "cert_notAfter", "cert_revocation", "cert_ocspURL",
        "cert_extlifeSpan", "cert_expirationStatus", "DNS_CAArecord", "OCSP_stapling", "overall_grade", "final_score",
        "grade_cap_reason_1", "grade_cap_reason_2", "cert_caIssuers", "cert_certificatePolicies_EV", "certificate_transparency",
        "scanTime", "engine_problem", "old_fart", "BREACH", "HSTS")


def findings(folder, *words):
    net = lab.Lab(folder)
    net.standard_zones()
    net.start_dns()
    certificates = "".join(Certificate(folder, kind[:2], ["mx.postern.test"], kind=kind).section(kind[:2])
                           for kind in ("rsa:2048", "ec"))
    # It shakes hands more often than one network may.
    conf = net.postern_conf(certificates + f'listener "smtps" {{ address = {{"{POSTERN}"}}\n port = 465\n tls = implicit }}\n'
                            'limits { exempt = {"10.77.0.0/16"} }\n')
    lab.Postern(net, conf)
    out = net.path("testssl.json")
    net.host("10.77.0.1").run(["testssl", "--quiet", "--color", "0", "--nodns", "min", "--warnings", "batch", "--ip", POSTERN,
                              "--jsonfile", out, "-p", "-s", "-f", "-P", "-S", "-U", *words], capture_output=True, text=True)
    with open(out) as f:
        return json.load(f)


def judge(found):
    print(f"# {len(found)} findings")
    lab.check(len(found) > 50, "it looked at everything")
    bad = [f"{f['id']}: {f['severity']}: {f['finding']}" for f in found
           if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL") and not f["id"].split(" ")[0].startswith(OURS)]
    for line in bad:
        print("# " + line)
    lab.check(not bad, f"nothing above low: {bad}")


def test_starttls(folder):
    judge(findings(folder, "-t", "smtp", "mx.postern.test:25"))


def test_implicit(folder):
    judge(findings(folder, "mx.postern.test:465"))


lab.main(globals(), seconds=900)
