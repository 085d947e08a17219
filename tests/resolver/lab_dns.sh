#!/bin/sh
# lab_dns.sh FOLDER PORT: a signed root, test. and zones below it in FOLDER, served by Knot at 127.0.0.1 and ::1 PORT until killed.
# FOLDER/anchor is the trust anchor, FOLDER/hints the root hints, FOLDER/ready appears when the zones are served.
set -eu
PATH=$PATH:/usr/sbin:/sbin
folder=$1 port=$2
cd "$folder"
signed=". test good.test bogus.test 2.0.192.in-addr.arpa"
plain="plain.test"

file_of() { [ "$1" = . ] && echo "$folder/root.zone" || echo "$folder/$1.zone"; }
{
	printf 'server:\n  rundir: "%s"\n  listen: [ 127.0.0.1@%s, ::1@%s ]\nlog:\n  - target: stderr\n    any: warning\n' "$folder" "$port" "$port"
	printf 'database:\n  storage: "%s"\npolicy:\n  - id: lab\n    algorithm: ecdsap256sha256\n    single-type-signing: on\nzone:\n' "$folder"
	for zone in $signed; do
		printf '  - domain: "%s"\n    file: "%s"\n' "$zone" "$(file_of "$zone")"
		printf '    dnssec-signing: on\n    dnssec-policy: lab\n    zonefile-load: difference\n'
	done
	for zone in $plain; do
		printf '  - domain: "%s"\n    file: "%s"\n' "$zone" "$(file_of "$zone")"
	done
} >knot.conf

begin() {
	origin=$1; [ "$1" = . ] || origin=$1.
	# shellcheck disable=SC2016 # the dollars are words of the zone file
	printf '$ORIGIN %s\n$TTL 300\n@ SOA ns.test. admin.test. 1 60 60 86400 60\n@ NS ns.test.\n' "$origin"
}
for zone in $signed; do
	keymgr -c knot.conf "$zone" generate algorithm=ecdsap256sha256 ksk=yes zsk=yes >/dev/null
	keymgr -c knot.conf "$zone" ds >"ds.$zone"
done
sed -i 's/........$/00000000/' ds.bogus.test	# a key that nobody has

{ begin good.test; cat <<'ZONE'
@ MX 20 mx2
@ MX 10 mx1
mx1 A 192.0.2.1
mx1 AAAA 2001:db8::1
mx2 A 192.0.2.2
implicit A 192.0.2.3
null MX 0 .
alias CNAME good.test.
empty TXT "neither MX nor address"
mixed MX 10 mx.plain.test.
broken MX 10 nowhere.good.test.
badmx MX 10 mx.bogus.test.
ZONE
	# Too much for one datagram, and for one route.
	for i in $(seq 60); do echo "big MX $i a-mail-exchanger-with-a-name-of-some-length-$i"
		echo "a-mail-exchanger-with-a-name-of-some-length-$i A 192.0.2.$i"; done
} >good.test.zone
{ begin plain.test; printf '@ MX 10 mx\nmx A 192.0.2.9\n'; } >plain.test.zone
{ begin bogus.test; printf '@ MX 10 mx\nmx A 192.0.2.8\n'; } >bogus.test.zone
{ begin 2.0.192.in-addr.arpa; printf '1 PTR mx1.good.test.\n2 PTR mx1.good.test.\n3 PTR nowhere.good.test.\n'; } >2.0.192.in-addr.arpa.zone
{ begin test
	echo 'ns A 127.0.0.1'
	for zone in good.test bogus.test plain.test; do echo "$zone. NS ns.test."; done
	cat ds.good.test ds.bogus.test
} >test.zone
{ begin .; printf 'test. NS ns.test.\nns.test. A 127.0.0.1\n2.0.192.in-addr.arpa. NS ns.test.\n'; cat ds.test ds.2.0.192.in-addr.arpa; } >root.zone
cp ds.. anchor
printf '. 3600 NS ns.test.\nns.test. 3600 A 127.0.0.1\n' >hints
printf '# ours\nsearch test\nnameserver fe80::1%%eth0\nnameserver 127.0.0.1 # here\noptions edns0\n' >resolv.conf

knotd -c knot.conf &
knot=$!
trap 'kill $knot; wait $knot; exit 0' TERM INT
for _ in $(seq 100); do
	served=yes
	for zone in $signed; do
		kdig @127.0.0.1 -p "$port" +dnssec +timeout=1 +retry=0 "$zone" SOA 2>/dev/null | grep -q RRSIG || served=no
	done
	[ $served = no ] || { touch ready; break; }
	sleep 0.1
done
wait $knot
