// SPDX-License-Identifier: GPL-2.0-or-later
/* Ten thousand random operations against a model (tests/unit/world.h), in episodes of
 * 500 on hosts that differ. After each the invariants of world_check() must hold, at
 * the end of each episode nothing may be left. What fails is made as short as it gets
 * and printed.
 *	SFH_MODEL_SEED=N  another sequence (the default is the same every time)
 *	SFH_MODEL_OPS=N   how many
 *	SFH_MODEL_TRACE=1 tells what comes of each operation of the shortest sequence
 *	SFH_MODEL_STRICT=1 also asserts what is known not to hold yet (world_check.c, check_pair())
 * Seeds that found something: 3 (a MAC zeroed for ever by a restart), 4 (a VF leased
 * twice), 5 (an ejected VF proven for ever), 6 (a lease taken over on another PF),
 * 7 (a VLAN kept by an undo that was refused). */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/world.h"

#define EPISODE 500

/* X(name, weight) */
#define OPS(X)             \
	X(START, 8)        \
	X(STOP, 2)         \
	X(FRAME, 8)        \
	X(ADDRESS, 6)      \
	X(NEGOTIATE, 8)    \
	X(ARRIVE, 3)       \
	X(DEVICES, 4)      \
	X(RESUME, 4)       \
	X(ACCELERATE, 8)   \
	X(HOLD, 3)         \
	X(PLUG_OK, 9)      \
	X(PLUG_FAIL, 1)    \
	X(PROOF, 9)        \
	X(UNPLUG_OK, 7)    \
	X(UNPLUG_FAIL, 2)  \
	X(EJECT, 1)        \
	X(RESET, 2)        \
	X(MIGRATE, 2)      \
	X(MIGRATE_OK, 2)   \
	X(MIGRATE_FAIL, 2) \
	X(YIELD, 2)        \
	X(YIELDED, 3)      \
	X(STAYS, 2)        \
	X(RESTART, 2)      \
	X(REFUSE, 2)       \
	X(HEAL, 3)         \
	X(TIME, 6)         \
	X(FOREIGN, 1)      \
	X(ELSEWHERE, 2)    \
	X(MEMORY, 1)       \
	X(REFRESH, 1)

enum op_kind {
#define X(id, weight) DO_##id,
	OPS(X)
#undef X
		_DO_MAX
};

static const struct {
	const char *name;
	unsigned weight;
} kinds_of_op[] = {
#define X(id, weight) [DO_##id] = {#id, weight},
	OPS(X)
#undef X
};

struct op {
	enum op_kind kind;
	unsigned guest, nic;
	uint32_t arg;
};

struct host {
	bool can_park;
	unsigned landing;
};

static struct {
	unsigned tried[_DO_MAX], changed[_DO_MAX];
} tally;

static uint64_t rng;
static bool tracing;

static uint32_t draw(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 16);
}

static enum op_kind draw_kind(void)
{
	unsigned sum = 0, at;

	for (unsigned k = 0; k < _DO_MAX; k++)
		sum += kinds_of_op[k].weight;
	at = draw() % sum;
	for (unsigned k = 0;; at -= kinds_of_op[k++].weight)
		if (at < kinds_of_op[k].weight)
			return k;
}

/* --- one operation ------------------------------------------------------------------------ */

/* libvirt does one thing at a time with a guest. */
static bool can_yield(const struct world *w, const struct world_guest *g)
{
	for (unsigned n = 0; n < g->nnics; n++) {
		const struct sfh_pair *p = world_pair(w, g, n);

		if (!p || p->leaving || p->state == SFH_PAIR_LEASING || g->nic[n].plugging ||
		    g->nic[n].unplugging || g->nic[n].carried)
			return false;
	}
	return g->life == GUEST_RUNS && !g->migrating && !g->yields;
}

static bool applies(const struct world *w, const struct world_guest *g, unsigned n,
		    enum op_kind kind)
{
	const struct world_nic *nic = &g->nic[n];
	const struct sfh_pair *p = world_pair(w, g, n);

	switch (kind) {
	case DO_START:
	case DO_ARRIVE:
		return g->life == GUEST_OFF;
	case DO_DEVICES:
		return g->life == GUEST_COMING;
	case DO_RESUME:
		return g->life == GUEST_DEVICES;
	case DO_STOP:
		return g->life != GUEST_OFF;
	case DO_FRAME:
		return g->life == GUEST_RUNS && (!nic->talks || nic->unplugging);
	case DO_ADDRESS:
		return g->life == GUEST_RUNS && nic->talks && !nic->address;
	case DO_NEGOTIATE:
		return g->life >= GUEST_DEVICES && p && !p->negotiated;
	case DO_ACCELERATE:
		return p && p->state == SFH_PAIR_STANDBY;
	case DO_HOLD:
	case DO_EJECT:
	case DO_RESET:
		return p && p->state == SFH_PAIR_VF;
	case DO_PLUG_OK:
	case DO_PLUG_FAIL:
		return nic->plugging;
	case DO_PROOF:
		return world_can_prove(w, g, n);
	case DO_UNPLUG_OK:
	case DO_UNPLUG_FAIL:
		return nic->unplugging;
	case DO_MIGRATE_OK:
	case DO_MIGRATE_FAIL:
		return g->migrating;
	case DO_YIELD:
		return can_yield(w, g);
	case DO_YIELDED:
	case DO_STAYS:
		return g->yields;
	default:
		return true;
	}
}

/* The drawn guest, or the next that the operation means something to; now and then
 * (by the argument) the drawn one all the same. */
static void aim(const struct world *w, const struct op *op, unsigned *ret_guest, unsigned *ret_nic)
{
	*ret_guest = op->guest;
	*ret_nic = op->nic % w->guest[op->guest].nnics;
	for (unsigned i = 0; i < WORLD_GUESTS * WORLD_NICS && op->arg % 8; i++) {
		unsigned g = (op->guest + i / WORLD_NICS) % WORLD_GUESTS;
		unsigned n = (op->nic + i) % WORLD_NICS;

		if (n < w->guest[g].nnics && applies(w, &w->guest[g], n, op->kind)) {
			*ret_guest = g;
			*ret_nic = n;
			return;
		}
	}
}

static void refuse(struct world *w, uint32_t arg)
{
	static const int codes[] = {EAGAIN, EBUSY, EOPNOTSUPP, EIO, EINVAL, ENODEV};
	enum fake_op op = arg % _OP_MAX;

	if (arg & 0x100) { /* the driver's doings fail most often */
		op = OP_VF_SET;
		w->f->partial = arg & 0x200;
	}
	if ((arg & 0xc00) == 0xc00) {
		w->f->refuse = SFH_VF_VLAN << (arg >> 12) % 7;
		w->f->refuse_code = codes[(arg >> 16) % SFH_ARRAY_SIZE(codes)];
		return;
	}
	fake_fail(w->f, op, codes[(arg >> 16) % SFH_ARRAY_SIZE(codes)], (int)(arg >> 20) % 4,
		  1 + (int)(arg >> 24) % 3);
}

static void somebody_else(struct world *w, uint32_t arg, bool mac)
{
	unsigned pf = arg % FAKE_PFS, vf = (arg >> 8) % w->f->pf[pf].nvfs;
	struct fake_pf *k = &w->f->pf[pf];
	char *why = k->why_not[vf];

	if (mac ? w->foreign[pf][vf] : why[0] != '\0') {
		if (mac)
			k->vf[vf].mac = (struct sfh_mac){{0}};
		else
			why[0] = '\0';
		w->foreign[pf][vf] &= !mac;
		if (arg & 0x10000)
			sfh_pool_freed(&w->f->e, k->name);
		return;
	}
	if (!sfh_mac_is_zero(&k->vf[vf].mac) || w->refused[pf][vf])
		return;
	for (const struct sfh_pair *p = w->f->e.pairs; p; p = p->next)
		if (p->has_lease && p->lease.vf == vf && strcmp(p->lease.pf, k->name) == 0)
			return;
	if (mac) {
		k->vf[vf].mac = (struct sfh_mac){{2, 0, 0, 0, (uint8_t)pf, (uint8_t)vf}};
		w->foreign[pf][vf] = true;
	} else {
		(void)strcpy(why, "in use by guest 'x'");
	}
}

/* What libvirt was doing comes to its end, one way or the other, without the agent. */
static void restart(struct world *w, uint32_t arg)
{
	for (unsigned g = 0; g < WORLD_GUESTS; g++) {
		struct world_guest *guest = &w->guest[g];
		bool well = arg >> g & 1;

		for (unsigned n = 0; n < guest->nnics; n++) {
			struct world_nic *nic = &guest->nic[n];

			nic->has_vf |= nic->plugging && well;
			nic->plugging = false;
			if (nic->unplugging && well)
				nic->has_vf = nic->unplugging = false;
		}
		if (guest->migrating && well)
			world_stop(w, guest, false);
		guest->migrating = false;
	}
	world_restart(w);
	for (unsigned g = 0; g < WORLD_GUESTS; g++)
		if (w->guest[g].life == GUEST_DEVICES)
			world_devices(w, &w->guest[g]);
}

static void migrated(struct world *w, struct world_guest *g, bool ok, bool stopped_first);

/* What is under way ends in an error, some guests end, some of those are started again, and
 * what was on its way here is killed; libvirt tells nobody. Then it says what runs. */
static void libvirtd_restarts(struct world *w, uint32_t arg)
{
	sfh_engine_doubt(&w->f->e);
	for (unsigned g = 0; g < WORLD_GUESTS; g++) {
		struct world_guest *guest = &w->guest[g];
		bool ends = arg >> (9 + g) & 1, again = arg >> (15 + g) & 1;

		migrated(w, guest, false, false);
		for (unsigned n = 0; n < guest->nnics; n++)
			if (guest->nic[n].plugging)
				world_plug_lost(w, guest, n, arg >> (21 + g) & 1);
		for (unsigned n = 0; n < guest->nnics; n++)
			if (guest->nic[n].unplugging && !guest->nic[n].carried && arg >> (22 + g) & 1)
				guest->nic[n].unplugging = guest->nic[n].has_vf = false;
		if (guest->life == GUEST_COMING || guest->life == GUEST_DEVICES)
			world_stop(w, guest, false);
		if (guest->life == GUEST_RUNS && ends) {
			world_stop(w, guest, false);
			if (again)
				guest->life = GUEST_RUNS;
		}
	}
	for (unsigned g = 0; g < WORLD_GUESTS; g++)
		if (w->guest[g].life == GUEST_RUNS)
			world_start(w, &w->guest[g], true);
	(void)sfh_engine_doubted_gone(&w->f->e);
}

static void migrated(struct world *w, struct world_guest *g, bool ok, bool stopped_first)
{
	if (!g->migrating)
		return;
	g->migrating = false;
	if (ok && stopped_first)
		world_stop(w, g, true);
	sfh_engine_migrated(&w->f->e, g->uuid, ok ? 0 : -EIO, ok ? NULL : "no route");
	if (ok && !stopped_first)
		world_stop(w, g, true);
}

static void apply(struct world *w, const struct op *op)
{
	static const uint64_t ms[] = {1, 60, 250, 2100, 5000, 12000, 31000, 61000};
	unsigned guest, n;
	struct world_guest *g;
	struct world_nic *nic;
	struct sfh_engine *e = &w->f->e;
	bool runs;

	aim(w, op, &guest, &n);
	g = &w->guest[guest];
	nic = &g->nic[n];
	runs = g->life == GUEST_RUNS;
	switch (op->kind) {
	case DO_START:
		if (g->life == GUEST_OFF) {
			nic->pf = op->arg % FAKE_PFS;
			world_start(w, g, false);
		}
		break;
	case DO_STOP:
		if (g->life != GUEST_OFF)
			world_stop(w, g, true);
		break;
	case DO_FRAME:
		if (runs && !(nic->has_vf && !nic->unplugging && !g->yields))
			world_frame(w, g, n);
		break;
	case DO_ADDRESS:
		nic->address |= runs && nic->talks;
		break;
	case DO_NEGOTIATE:
		if (g->life >= GUEST_DEVICES)
			sfh_engine_guest_event(e, g->uuid, SFH_EV_NEGOTIATED, NULL);
		break;
	case DO_ARRIVE:
		if (g->life == GUEST_OFF)
			(void)world_arriving(w, g, op->arg & 0x100);
		break;
	case DO_DEVICES:
		if (g->life == GUEST_COMING) {
			nic->pf = op->arg % FAKE_PFS;
			world_devices(w, g);
		}
		break;
	case DO_RESUME:
		if (g->life == GUEST_DEVICES) {
			g->life = GUEST_RUNS;
			sfh_engine_guest_event(e, g->uuid, SFH_EV_RESUMED, NULL);
		}
		break;
	case DO_ACCELERATE:
		sfh_engine_guest_event(e, g->uuid, SFH_EV_ACCELERATE, "request");
		break;
	case DO_HOLD:
		sfh_engine_guest_event(e, g->uuid, SFH_EV_HOLD, "request");
		break;
	case DO_PLUG_OK:
	case DO_PLUG_FAIL:
		if (nic->plugging && op->kind == DO_PLUG_FAIL && op->arg & 0x100)
			world_plug_lost(w, g, n, op->arg & 0x200);
		else if (nic->plugging)
			world_plug_answer(w, g, n, op->kind == DO_PLUG_OK);
		break;
	case DO_PROOF: {
		const struct sfh_pair *p = world_pair(w, g, n);

		if (p && p->next_ask_ns) /* it is asked on its standby leg */
			sfh_engine_pair_event(e, g->uuid, &nic->mac, SFH_EV_LISTENS, NULL);
		else
			(void)world_proof(w, g, n);
		break;
	}
	case DO_UNPLUG_OK:
	case DO_UNPLUG_FAIL:
		if (nic->unplugging)
			world_unplug_answer(w, g, n, op->kind == DO_UNPLUG_OK);
		break;
	case DO_EJECT: {
		const struct sfh_pair *p = world_pair(w, g, n);

		if (nic->has_vf && p && p->state == SFH_PAIR_VF)
			world_unplug_answer(w, g, n, true);
		break;
	}
	case DO_RESET: /* QEMU carries out the unplugs that it had asked for */
		for (unsigned i = 0; runs && i < g->nnics; i++)
			if (g->nic[i].unplugging)
				world_unplug_answer(w, g, i, true);
		if (runs)
			sfh_engine_guest_event(e, g->uuid, SFH_EV_RESET, NULL);
		break;
	case DO_MIGRATE:
		if (runs)
			(void)sfh_engine_migrate(e, g->uuid, "qemu+ssh://there/system", NULL);
		break;
	case DO_MIGRATE_OK:
	case DO_MIGRATE_FAIL:
		migrated(w, g, op->kind == DO_MIGRATE_OK, op->arg & 1);
		break;
	case DO_YIELD:
		if (!can_yield(w, g))
			break;
		g->yields = true;
		sfh_engine_guest_event(e, g->uuid, SFH_EV_DEPART, NULL);
		for (unsigned i = 0; i < g->nnics; i++)
			if (g->nic[i].has_vf)
				sfh_engine_pair_event(e, g->uuid, &g->nic[i].mac, SFH_EV_YIELD, NULL);
		break;
	case DO_YIELDED:
	case DO_STAYS:
		if (!g->yields)
			break;
		g->yields = op->kind == DO_YIELDED;
		sfh_engine_guest_event(e, g->uuid,
				       op->kind == DO_YIELDED ? SFH_EV_YIELDED : SFH_EV_STAYS, NULL);
		break;
	case DO_RESTART:
		restart(w, op->arg);
		break;
	case DO_REFUSE:
		refuse(w, op->arg);
		break;
	case DO_HEAL:
		fake_heal(w->f);
		world_repair(w);
		break;
	case DO_TIME:
		world_sleep(w, ms[op->arg % SFH_ARRAY_SIZE(ms)]);
		break;
	case DO_FOREIGN:
	case DO_ELSEWHERE:
		somebody_else(w, op->arg, op->kind == DO_FOREIGN);
		break;
	case DO_MEMORY:
		w->no_memory = !w->no_memory && op->arg % 4 == 1;
		break;
	case DO_REFRESH:
		if (op->arg & 0x100)
			libvirtd_restarts(w, op->arg);
		else
			(void)sfh_pool_refresh(e, "blue", NULL);
		break;
	default:
		break;
	}
	if (op->arg >> 29 == 0) /* meanwhile */
		world_rx(w, g, n, op->arg);
	fake_forget_calls(w->f);
}

/* --- an episode --------------------------------------------------------------------------------
 */

static bool anything_left(struct world *w, char *text, size_t n)
{
	for (unsigned pf = 0; pf < FAKE_PFS; pf++)
		for (unsigned vf = 0; vf < w->f->pf[pf].nvfs; vf++)
			if (!sfh_mac_is_zero(&w->f->pf[pf].vf[vf].mac))
				return snprintf(text, n, "at the end VF %u of pf%u says %s", vf, pf,
						fake_vf(w->f, pf, vf)) > 0;
	if (fake_leases(w->f) || fake_entries(w->f) || fake_rows(w->f) || w->f->e.pairs ||
	    w->f->e.migrations)
		return snprintf(text, n, "at the end: %u leases, %u entries, %u rows%s%s",
				fake_leases(w->f), fake_entries(w->f), fake_rows(w->f),
				w->f->e.pairs ? ", a pair" : "",
				w->f->e.migrations ? ", a migration" : "") > 0;
	return false;
}

/* SFH_MODEL_TRACE=1: the shortest sequence once more, with what comes of each. */
static void trace(const struct world *w, const struct op *op)
{
	unsigned guest, nic;

	aim(w, op, &guest, &nic);
	(void)fprintf(stderr, "%s guest %u nic %u\n%s", kinds_of_op[op->kind].name, guest, nic,
		      w->f->log);
	for (const struct sfh_pair *p = w->f->e.pairs; p; p = p->next)
		(void)fprintf(stderr, "    %u.%u %s %s%s on %s%s%s vf %u%s: %s\n", p->mac.b[4] - 1u,
			      p->mac.b[5], sfh_pair_state_name(p->state),
			      p->reason ? sfh_reason_name(p->reason) : "",
			      p->leaving ? ", leaving" : "", p->pf, p->has_lease ? ", lease" : "",
			      p->lease.reserved ? " (reserved)" : "", p->lease.vf,
			      p->parked ? ", parked" : "",
			      p->has_lease
				      ? fake_vf(w->f, (unsigned)p->pf_ifindex - 100, p->lease.vf)
				      : "");
}

/* True if all went well; else `text` says what did not, *ret_at after how many. */
static bool play(const struct host *host, const struct op *ops, size_t n, bool count,
		 char text[640], size_t *ret_at)
{
	struct world w;
	const char *bad = NULL;
	bool ok;

	world_init(&w, host->can_park, host->landing);
	for (size_t i = 0; i < n && !bad; i++) {
		uint64_t before = world_hash(&w);

		w.f->log[0] = w.f->progress[0] = '\0';
		apply(&w, &ops[i]);
		bad = world_check(&w);
		if (tracing)
			trace(&w, &ops[i]);
		if (count) {
			tally.tried[ops[i].kind]++;
			tally.changed[ops[i].kind] += world_hash(&w) != before;
		}
		*ret_at = i + 1;
	}
	if (bad) {
		(void)snprintf(text, 640, "after %s: %s", kinds_of_op[ops[*ret_at - 1].kind].name,
			       bad);
		world_done(&w);
		return false;
	}
	fake_heal(w.f);
	for (unsigned g = 0; g < WORLD_GUESTS; g++)
		if (w.guest[g].life != GUEST_OFF) {
			if (w.guest[g].migrating)
				migrated(&w, &w.guest[g], false, false);
			world_stop(&w, &w.guest[g], true);
		}
	for (unsigned pf = 0; pf < FAKE_PFS; pf++)
		for (unsigned vf = 0; vf < w.f->pf[pf].nvfs; vf++)
			if (w.foreign[pf][vf])
				w.f->pf[pf].vf[vf].mac = (struct sfh_mac){{0}};
	world_repair(&w);
	/* What a refusal has left to the pool comes back with the next agent. */
	world_restart(&w);
	bad = world_check(&w);
	ok = !bad && !anything_left(&w, text, 640);
	if (bad)
		(void)snprintf(text, 640, "at the end: %s", bad);
	world_done(&w);
	return ok;
}

/* Leaves out what the failure does not need. */
static size_t shorten(const struct host *host, struct op *ops, size_t n, char text[640])
{
	struct op try[EPISODE];
	size_t at;

	for (size_t chunk = n / 2 ? n / 2 : 1; chunk; chunk /= 2)
		for (size_t from = 0; from + chunk <= n;) {
			char what[640];

			memcpy(try, ops, from * sizeof(*ops));
			memcpy(try + from, ops + from + chunk, (n - from - chunk) * sizeof(*ops));
			if (!play(host, try, n - chunk, false, what, &at)) {
				n = at < n - chunk ? at : n - chunk;
				memcpy(ops, try, n * sizeof(*ops));
				(void)strcpy(text, what);
			} else {
				from += chunk;
			}
		}
	return n;
}

static void tell(uint64_t seed, const struct host *host, const struct op *ops, size_t n,
		 const char *text)
{
	(void)fprintf(stderr, "model: seed %llu, %s, landing %u: %s\n", (unsigned long long)seed,
		      host->can_park ? "parking" : "no parking", host->landing, text);
	for (size_t i = 0; i < n; i++)
		(void)fprintf(stderr, "  %-12s guest %u nic %u arg %08x\n",
			      kinds_of_op[ops[i].kind].name, ops[i].guest, ops[i].nic, ops[i].arg);
}

/* Does what it does to more than the engine's memory and the fake's. */
static bool is_seen(enum op_kind kind)
{
	return kind != DO_REFUSE && kind != DO_HEAL && kind != DO_REFRESH;
}

static unsigned long long from_env(const char *name, unsigned long long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

TestSuite(model, .timeout = 120);

static void random_operations(uint64_t seed, size_t total)
{
	unsigned tried = 0, changed = 0;
	size_t done = 0;

	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned episode = 0; done < total; episode++) {
		struct host host = {.can_park = episode % 3 != 2, .landing = episode % 2};
		struct op ops[EPISODE];
		char text[640] = "";
		size_t at = 0;

		for (size_t i = 0; i < EPISODE; i++) {
			ops[i] = (struct op){
				.kind = draw_kind(),
				.guest = draw() % WORLD_GUESTS,
				.nic = draw() % WORLD_NICS,
				.arg = draw(),
			};
		}
		if (!play(&host, ops, EPISODE, true, text, &at)) {
			at = shorten(&host, ops, at, text);
			tell(seed, &host, ops, at, text);
			tracing = getenv("SFH_MODEL_TRACE") != NULL;
			if (tracing)
				(void)play(&host, ops, at, false, text, &at);
			cr_assert_fail("seed %llu, episode %u: %s", (unsigned long long)seed,
				       episode, text);
		}
		done += EPISODE;
	}
	(void)fprintf(stderr, "model: seed %llu:", (unsigned long long)seed);
	for (unsigned k = 0; k < _DO_MAX; k++) {
		tried += tally.tried[k];
		changed += tally.changed[k];
		(void)fprintf(stderr, " %s %u/%u", kinds_of_op[k].name, tally.changed[k],
			      tally.tried[k]);
	}
	(void)fprintf(stderr, "; %u of %u changed something\n", changed, tried);
	if (total < 10000)
		return;
	cr_assert_geq(changed * 10, tried * 3, "%u of %u", changed, tried);
	for (unsigned k = 0; k < _DO_MAX; k++)
		cr_expect_gt(is_seen(k) ? tally.changed[k] : tally.tried[k], 0, "no %s",
			     kinds_of_op[k].name);
}

Test(model, ten_thousand_random_operations)
{
	random_operations(from_env("SFH_MODEL_SEED", 3), from_env("SFH_MODEL_OPS", 10000));
}

/* A setting that was refused to a VF on its second lease was never put back. */
ParameterizedTestParameters(model, seeds_that_failed_once)
{
	static uint64_t seeds[] = {14, 26, 34, 41};

	return cr_make_param_array(uint64_t, seeds, SFH_ARRAY_SIZE(seeds));
}
ParameterizedTest(uint64_t *seed, model, seeds_that_failed_once)
{
	random_operations(*seed, 10000);
}
