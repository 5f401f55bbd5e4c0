// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//
// Decides for each packet of an interface: to the shard of its queue, or on to the kernel.
//
// Only UDP to an address and port that Tandem serves, in whole, unfragmented packets without options,
// goes to the queue's AF_XDP socket. Everything else passes on untouched, also what would go to a
// queue that has no socket: the kernel's sockets are bound to the same ports.
//
// The maps are filled by `attachment.rs`, which also names the reasons (`Verdict`). Rebuild the object
// beside this file with `scripts/bpf-object`.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define QUEUES_MAX 256
// Addresses of the host times ports served.
#define SERVED_MAX 4096
#define VLANS_MAX 1024

// What became of a packet; the index of its counter.
enum verdict {
	TO_SHARD,
	NOT_FOR_THIS_MAC,
	NOT_IP,
	UNKNOWN_VLAN,
	NOT_UDP,
	HAS_OPTIONS,
	FRAGMENT,
	NOT_SERVED,
	TOO_LONG,
	NO_SOCKET,
	CUT_SHORT,
	VERDICTS,
};

struct interface {
	__u16 mac[ETH_ALEN / 2];
	__u16 unused;
	// Longest packet that fits a frame of the sockets' memory.
	__u32 longest;
};

// An address and port that is served; IPv4 as an IPv4-mapped IPv6 address. In network order.
struct served {
	__u32 address[4];
	__u16 port;
	__u16 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct interface);
} interface SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVED_MAX);
	__type(key, struct served);
	__type(value, __u32);
} served SEC(".maps");

// VLANs that the host has on this interface: outer tag << 16 | inner tag.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, VLANS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, QUEUES_MAX);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct vlan_tag {
	__be16 control;
	__be16 inner;
};

static __always_inline int is_tagged(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

// Whose packet this is.
static __always_inline enum verdict decide(struct xdp_md *packet)
{
	void *end = (void *)(long)packet->data_end;
	void *start = (void *)(long)packet->data;
	struct ethhdr *ethernet = start;
	struct interface *own;
	struct served key = {};
	struct udphdr *udp;
	__be16 protocol;
	void *next;
	__u32 zero = 0;

	if ((void *)(ethernet + 1) > end)
		return CUT_SHORT;
	protocol = ethernet->h_proto;
	next = ethernet + 1;

	if (is_tagged(protocol)) {
		struct vlan_tag *tag = next;
		__u32 tags;

		if ((void *)(tag + 1) > end)
			return CUT_SHORT;
		tags = (bpf_ntohs(tag->control) & 0x0fff) << 16;
		protocol = tag->inner;
		next = tag + 1;
		if (is_tagged(protocol)) {
			tag = next;
			if ((void *)(tag + 1) > end)
				return CUT_SHORT;
			tags |= bpf_ntohs(tag->control) & 0x0fff;
			protocol = tag->inner;
			next = tag + 1;
		}
		if (!bpf_map_lookup_elem(&vlans, &tags))
			return UNKNOWN_VLAN;
	}

	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = next;

		if ((void *)(ip + 1) > end)
			return CUT_SHORT;
		if (ip->protocol != IPPROTO_UDP)
			return NOT_UDP;
		if (ip->version != 4 || ip->ihl != 5)
			return HAS_OPTIONS;
		// More fragments, or an offset.
		if (ip->frag_off & bpf_htons(0x3fff))
			return FRAGMENT;
		key.address[2] = bpf_htonl(0xffff);
		key.address[3] = ip->daddr;
		udp = (void *)(ip + 1);
	} else if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = next;

		if ((void *)(ip + 1) > end)
			return CUT_SHORT;
		if (ip->nexthdr == IPPROTO_FRAGMENT)
			return FRAGMENT;
		// Extension headers are not UDP either.
		if (ip->nexthdr != IPPROTO_UDP)
			return NOT_UDP;
		key.address[0] = ip->daddr.in6_u.u6_addr32[0];
		key.address[1] = ip->daddr.in6_u.u6_addr32[1];
		key.address[2] = ip->daddr.in6_u.u6_addr32[2];
		key.address[3] = ip->daddr.in6_u.u6_addr32[3];
		udp = (void *)(ip + 1);
	} else {
		return NOT_IP;
	}

	if ((void *)(udp + 1) > end)
		return CUT_SHORT;
	key.port = udp->dest;
	if (!bpf_map_lookup_elem(&served, &key))
		return NOT_SERVED;

	own = bpf_map_lookup_elem(&interface, &zero);
	if (!own)
		return NO_SOCKET;
	// A switch that floods, or a mirror port: the kernel drops these, and so must we not answer them.
	if (((__u16 *)ethernet->h_dest)[0] != own->mac[0] || ((__u16 *)ethernet->h_dest)[1] != own->mac[1] ||
	    ((__u16 *)ethernet->h_dest)[2] != own->mac[2])
		return NOT_FOR_THIS_MAC;
	if (end - start > own->longest)
		return TOO_LONG;
	return TO_SHARD;
}

// Puts the time of arrival in front of the packet: a shard that is behind sees by it how long the packet has waited.
// The clock is CLOCK_MONOTONIC. Drivers without room for metadata are passed over. Nonzero: it was put there.
static __always_inline int stamp(struct xdp_md *packet)
{
	__u64 *room;

	if (bpf_xdp_adjust_meta(packet, -(int)sizeof(*room)))
		return 0;
	room = (void *)(long)packet->data_meta;
	if ((void *)(room + 1) <= (void *)(long)packet->data)
		*room = bpf_ktime_get_ns();
	return 1;
}

SEC("xdp")
int tandem(struct xdp_md *packet)
{
	__u32 verdict = decide(packet);
	int action = XDP_PASS;
	__u64 *count;

	if (verdict == TO_SHARD) {
		int stamped = stamp(packet);

		action = bpf_redirect_map(&sockets, packet->rx_queue_index, XDP_PASS);
		if (action != XDP_REDIRECT) {
			verdict = NO_SOCKET;
			if (stamped)
				bpf_xdp_adjust_meta(packet, sizeof(__u64));
		}
	}
	count = bpf_map_lookup_elem(&counters, &verdict);
	if (count)
		*count += 1;
	return action;
}

// What a program costs that does nothing: the floor under measurements.
SEC("xdp")
int nothing(struct xdp_md *packet)
{
	return XDP_PASS;
}

char program_license[] SEC("license") = "Dual MIT/GPL";
