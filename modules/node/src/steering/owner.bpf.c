// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//
// Chooses the socket of a reuseport group for each datagram: that of the shard which owns the message, so
// that no shard has to hand it to another.
//
// The same rule as `proto/src/steer.rs`, from the same bytes: a response belongs to the slot in the token of
// our Via branch, a request with our Route to the slot in its token, a REGISTER to a keyed hash of the user in To,
// everything else to one of its Call-ID. A token is not verified here. What is steered wrongly (a forged token, a Call-ID or a header beyond
// the bytes looked at) reaches its owner all the same: the shard that receives it verifies, and hands it over.
//
// Loaded by `engine/src/steering.rs`; `CONFIG` comes from there. Rebuild the object with `scripts/bpf-object`.

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// Bytes of a datagram that are looked at.
#define LOOKED_AT 1024
// Longest Call-ID or user that is hashed, and longest Via, Route and To line that is searched.
#define TEXT_MAX 128
#define LINE_MAX 192
#define SLOT_COUNT 4096
// `Purpose` of proto/src/hash.rs.
#define PURPOSE_SLOT 2
#define PURPOSE_USER_SLOT 20

// Secret of slots (low and high word), number of shards, longest payload of the first set of sockets, how those
// begin that have sockets of their own because they can wait (0: none), the first of these sockets.
const volatile __u64 CONFIG[6] = {};

// INVARIANT: room behind LOOKED_AT for whatever is read from a place inside.
struct datagram {
	__u8 bytes[LOOKED_AT + 256];
	__u32 place;
	__u32 length;
	// The first lines of these names; 0: none yet.
	__u32 route;
	__u32 call_id;
	__u32 to;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct datagram);
} datagrams SEC(".maps");

#define ONES 0x0101010101010101ull
#define WORD(at) (*(__u64 *)(datagram->bytes + (at)))

// Eight characters as they lie in memory.
#define TEXT(a, b, c, d, e, f, g, h)                                                                           \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 |               \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

// WHY written and read back: the verifier then forgets which of the thousand places it was, and follows what
// comes after once instead of a thousand times.
static __always_inline __u32 forget(volatile __u32 *room, __u32 value)
{
	*room = value;
	return *room & (LOOKED_AT - 1);
}

static __always_inline __u32 digit(__u8 c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : 0;
}

// The slot in the token that begins at `at` (proto/src/token.rs: octets 4 and 5); SLOT_COUNT: none of ours.
static __always_inline __u32 slot_of_token(struct datagram *datagram, __u32 at)
{
	const __u8 *text = datagram->bytes + at;
	// Version 1 in the first four bits.
	if (text[0] != 'E')
		return SLOT_COUNT;
	__u32 slot = (digit(text[5]) << 12 | digit(text[6]) << 6 | digit(text[7])) & 0xffff;
	return slot < SLOT_COUNT ? slot : SLOT_COUNT;
}

struct sip_hash {
	__u64 a, b, c, d;
};

#define ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))

static __always_inline void sip_round(struct sip_hash *v)
{
	v->a += v->b;
	v->c += v->d;
	v->b = ROTATE(v->b, 13) ^ v->a;
	v->d = ROTATE(v->d, 16) ^ v->c;
	v->a = ROTATE(v->a, 32) + v->d;
	v->c += v->b;
	v->d = ROTATE(v->d, 21) ^ v->a;
	v->b = ROTATE(v->b, 17) ^ v->c;
	v->c = ROTATE(v->c, 32);
}

static __always_inline void add(struct sip_hash *v, __u64 word)
{
	v->d ^= word;
	sip_round(v);
	v->a ^= word;
}

// The slot of the text at `at`: `KeyedHash` of proto/src/hash.rs.
static __always_inline __u32 slot_of_text(struct datagram *datagram, __u32 purpose, __u32 at, __u32 length)
{
	struct sip_hash v = {
		CONFIG[0] ^ 0x736f6d6570736575ull,
		CONFIG[1] ^ 0x646f72616e646f6dull ^ 0xee,
		CONFIG[0] ^ 0x6c7967656e657261ull,
		CONFIG[1] ^ 0x7465646279746573ull,
	};
	__u64 words = 2;
	add(&v, purpose);
	add(&v, length);
	for (__u32 done = 0; done < TEXT_MAX; done += 8) {
		if (done >= length)
			break;
		__u64 word = WORD(at + done);
		__u32 left = length - done;
		if (left < 8)
			word &= (1ull << (left & 7) * 8) - 1;
		add(&v, word);
		words++;
	}
	add(&v, (words * 8) << 56);
	v.c ^= 0xee;
	sip_round(&v);
	sip_round(&v);
	sip_round(&v);
	return (v.a ^ v.b ^ v.c ^ v.d) & (SLOT_COUNT - 1);
}

// Where the value of a header begins whose name ends before `at`; 0: no colon follows.
static __always_inline __u32 value_at(struct datagram *datagram, __u32 at)
{
	__u32 colon = 0;
	for (int step = 0; step < 8; step++, at++) {
		__u8 c = datagram->bytes[at];
		if (c == ':' && !colon)
			colon = 1;
		else if (c != ' ' && c != '\t')
			return colon ? at : 0;
	}
	return 0;
}

// The slot of the Call-ID in the line at `at`; SLOT_COUNT: it is too long, or the name is another.
static __always_inline __u32 call_id_slot(struct datagram *datagram, __u32 at)
{
	__u32 name = (datagram->bytes[at + 1] | 0x20) == 'a' ? sizeof("Call-ID") - 1 : 1;
	__u32 length = 0;
	at = forget(&datagram->place, value_at(datagram, at + name));
	if (!at)
		return SLOT_COUNT;
	for (; length < TEXT_MAX; length++) {
		__u8 c = datagram->bytes[at + length];
		if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
			break;
	}
	length = forget(&datagram->length, length);
	if (length == 0 || length >= TEXT_MAX)
		return SLOT_COUNT;
	return slot_of_text(datagram, PURPOSE_SLOT, at, length);
}

// The slot of the user in the To line at `at`; SLOT_COUNT: it has none, or one with escapes.
static __always_inline __u32 user_slot(struct datagram *datagram, __u32 at)
{
	__u32 length = 0, step = 2;
	for (; step < LINE_MAX; step++) {
		__u32 word = *(__u32 *)(datagram->bytes + at + step);
		if ((word & 0xff) == '\n')
			return SLOT_COUNT;
		if (word == (__u32)TEXT('s', 'i', 'p', ':', 0, 0, 0, 0))
			break;
	}
	at = forget(&datagram->place, at + step + 4);
	for (; length < TEXT_MAX; length++) {
		__u8 c = datagram->bytes[at + length];
		if (c == '@' || c == ';')
			break;
		if (c == '\n' || c == '>' || c == '%')
			return SLOT_COUNT;
	}
	length = forget(&datagram->length, length);
	if (length == 0 || length >= TEXT_MAX)
		return SLOT_COUNT;
	return slot_of_text(datagram, PURPOSE_USER_SLOT, at, length);
}

// Our token in a Route line: parameter `tt` of its first URI. Where it begins, or 0.
static __always_inline __u32 route_token(struct datagram *datagram, __u32 at)
{
	for (__u32 step = 0; step < LINE_MAX; step++) {
		__u32 word = *(__u32 *)(datagram->bytes + at + step);
		if ((word & 0xff) == '\n' || (word & 0xff) == ',')
			return 0;
		if (word == (__u32)TEXT(';', 't', 't', '=', 0, 0, 0, 0))
			return at + step + 4;
	}
	return 0;
}

// The token in the branch of the first Via, which is the first branch there is. Where it begins, or 0.
static __always_inline __u32 branch_token(struct datagram *datagram)
{
	for (__u32 at = 12; at < LINE_MAX; at++) {
		if (WORD(at) == TEXT('b', 'r', 'a', 'n', 'c', 'h', '=', 'z'))
			return at + sizeof("branch=z9hG4bK") - 1;
	}
	return 0;
}

// WHY lower case by one bit: only letters are compared with it.
#define LOWER(word) ((word) | 0x2020202020202020ull)
#define CALL_ID_NAME (TEXT('c', 'a', 'l', 'l', '-', 'i', 'd', 0) | 0x2020202020202020ull)
#define SEVEN 0x00ffffffffffffffull
#define FIVE 0x000000ffffffffffull

enum name { OTHER, ROUTE, CALL_ID, TO };

// What the line at `at` is, by how it begins; `value_at` says whether the name ends there.
static __always_inline enum name name_at(struct datagram *datagram, __u32 at)
{
	__u64 word = LOWER(WORD(at));
	if ((word & SEVEN) == (CALL_ID_NAME & SEVEN))
		return CALL_ID;
	if ((word & FIVE) == (TEXT('r', 'o', 'u', 't', 'e', 0, 0, 0) & FIVE))
		return ROUTE;
	__u8 first = word, second = word >> 8, third = word >> 16;
	// A tab becomes a parenthesis by the bit of lower case.
	__u32 is_short = second == ':' || second == ' ' || second == ')';
	if (first == 'i' && is_short)
		return CALL_ID;
	return first == 't' && (is_short || (second == 'o' && (third == ':' || third == ' '))) ? TO : OTHER;
}

// A walk over the headers, eight bytes a step.
//
// WHY what is found stands in the map: the verifier keeps no account of that, and has fewer cases to look at.
struct walk {
	struct datagram *datagram;
	__u32 length;
};

static long step(__u32 index, struct walk *walk)
{
	struct datagram *datagram = walk->datagram;
	__u32 word = (index * 8 + 8) & (LOOKED_AT - 8);
	if (word >= walk->length)
		return 1;
	__u64 newlines = WORD(word) ^ (ONES * '\n');
	if (!((newlines - ONES) & ~newlines & (ONES << 7)))
		return 0;
	for (__u32 at = word + 1; at < word + 9; at++) {
		if (datagram->bytes[at - 1] != '\n')
			continue;
		// The empty line: the headers are over.
		if (datagram->bytes[at] == '\r' || datagram->bytes[at] == '\n')
			return 1;
		enum name name = name_at(datagram, at);
		if (name == CALL_ID && !datagram->call_id)
			datagram->call_id = at;
		if (name == ROUTE && !datagram->route)
			datagram->route = at;
		if (name == TO && !datagram->to)
			datagram->to = at;
	}
	return datagram->route && datagram->call_id && datagram->to;
}

static __always_inline void walk_headers(struct datagram *datagram, __u32 length)
{
	struct walk walk = { .datagram = datagram, .length = length };
	datagram->route = 0;
	datagram->call_id = 0;
	datagram->to = 0;
	bpf_loop(LOOKED_AT / 8 - 1, step, &walk, 0);
}

// The slot that owns the message; SLOT_COUNT: cannot be told.
static __always_inline __u32 slot_of(struct datagram *datagram, __u32 length)
{
	__u32 token = 0, slot;
	if (WORD(0) == TEXT('S', 'I', 'P', '/', '2', '.', '0', ' ')) {
		token = branch_token(datagram);
		slot = token ? slot_of_token(datagram, forget(&datagram->place, token)) : SLOT_COUNT;
		if (slot < SLOT_COUNT)
			return slot;
		walk_headers(datagram, length);
	} else {
		walk_headers(datagram, length);
		__u32 route = *(volatile __u32 *)&datagram->route & (LOOKED_AT - 1);
		__u32 value = route ? value_at(datagram, route + sizeof("Route") - 1) : 0;
		token = value ? route_token(datagram, forget(&datagram->place, value)) : 0;
		slot = token ? slot_of_token(datagram, forget(&datagram->place, token)) : SLOT_COUNT;
		if (slot < SLOT_COUNT)
			return slot;
		__u32 to = *(volatile __u32 *)&datagram->to & (LOOKED_AT - 1);
		if (to && WORD(0) == TEXT('R', 'E', 'G', 'I', 'S', 'T', 'E', 'R'))
			return user_slot(datagram, to);
	}
	__u32 call_id = *(volatile __u32 *)&datagram->call_id & (LOOKED_AT - 1);
	return call_id ? call_id_slot(datagram, call_id) : SLOT_COUNT;
}

SEC("socket")
int owner(struct __sk_buff *skb)
{
	__u32 key = 0, slot = SLOT_COUNT, length = skb->len;
	__u32 shards = CONFIG[2];
	struct datagram *datagram = bpf_map_lookup_elem(&datagrams, &key);
	if (!shards)
		return 0;
	__u32 first = length < LOOKED_AT ? length : LOOKED_AT;
	// The shortest message is longer than a first line.
	if (datagram && first >= 16 && first <= LOOKED_AT && !bpf_skb_load_bytes(skb, 0, datagram->bytes, first))
		slot = slot_of(datagram, first);
	__u32 shard = (slot < SLOT_COUNT ? slot : bpf_get_prandom_u32()) % shards;
	if (length > CONFIG[3])
		return shard + shards;
	if (datagram && length >= 16 && CONFIG[4] && WORD(0) == CONFIG[4])
		return shard + CONFIG[5];
	return shard;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
