// SPDX-License-Identifier: GPL-2.0-or-later
/* The verb table, and the parsing that it drives. */
#include <stdio.h>
#include <string.h>

#include "ctl/cli/cli.h"
#include "sfhybrid/version.h"

const struct sfh_verb sfh_verbs[] = {
	{ "define", "FILE", 1, 1, 0, "define a hybrid network from XML ('-': standard input)",
	  sfh_cli_define, false },
	{ "undefine", "NET", 1, 1, 0, "forget a hybrid network that is down", sfh_cli_undefine,
	  false },
	{ "up", "NET", 1, 1, SFH_OPT_YES, "make the PFs ready and start the network", sfh_cli_up, false },
	{ "down", "NET", 1, 1, SFH_OPT_FORCE | SFH_OPT_YES, "stop the network and give its PFs back", sfh_cli_down,
	  false },
	{ "list", "", 0, 0, 0, "list hybrid networks", sfh_cli_list, false },
	{ "dumpxml", "NET", 1, 1, 0, "print a network as it was defined", sfh_cli_dumpxml, false },
	{ "set", "NET KEY=VALUE...", 2, SFH_CLI_MAX_ARGS, 0,
	  "change settings of a network, or with portgroup=NAME of a portgroup of it", sfh_cli_set, false },
	{ "status", "[NET]", 0, 1, SFH_OPT_WATCH, "networks, PFs, VFs and pairs", sfh_cli_status,
	  false },
	{ "accelerate", "DOM", 1, 1, 0, "put a guest on its VF leg", sfh_cli_accelerate, false },
	{ "standby", "DOM", 1, 1, 0, "put a guest on its standby leg and keep it there",
	  sfh_cli_standby, false },
	{ "migrate", "DOM URI", 2, 2, SFH_OPT_PERSISTENT | SFH_OPT_UNDEFINE | SFH_OPT_FORCE,
	  "migrate a guest live, accelerated again at the destination", sfh_cli_migrate, false },
	{ "history", "[DOM]", 0, 1, SFH_OPT_LIMIT, "switches between the legs, and what each cost",
	  sfh_cli_history, false },
	{ "doctor", "[PF...]", 0, SFH_CLI_MAX_ARGS, SFH_OPT_NO_TRY, "is this host ready?",
	  sfh_cli_doctor, false },
	{ "fsck", "", 0, 0, SFH_OPT_REPAIR, "compare ledger, kernel, libvirt and BPF maps",
	  sfh_cli_fsck, false },
	{ "version", "", 0, 0, 0, "print the version and what is built in", sfh_cli_version, true },
};
const size_t sfh_nverbs = SFH_ARRAY_SIZE(sfh_verbs);

static const struct {
	const char *name;
	enum sfh_cli_option bit;
	const char *value; /* NULL: a flag */
	const char *help;
} options[] = {
	{ "--yes", SFH_OPT_YES, NULL, "go on although a PF carries this host's traffic" },
	{ "--force", SFH_OPT_FORCE, NULL, "down: move guests to their standby leg first; migrate: reset a guest that keeps its VF" },
	{ "--watch", SFH_OPT_WATCH, NULL, "print again every second until interrupted" },
	{ "--limit", SFH_OPT_LIMIT, "N", "only the newest N" },
	{ "--persistent", SFH_OPT_PERSISTENT, NULL, "define the guest at the destination" },
	{ "--repair", SFH_OPT_REPAIR, NULL, "mend what is found" },
	{ "--undefinesource", SFH_OPT_UNDEFINE, NULL, "undefine the guest here afterwards" },
	{ "--no-try", SFH_OPT_NO_TRY, NULL, "do not try settings on an unused VF: only look" },
};

static const struct sfh_verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sfh_nverbs; i++)
		if (strcmp(sfh_verbs[i].name, name) == 0)
			return &sfh_verbs[i];
	return NULL;
}

static void usage(FILE *to)
{
	(void)fprintf(to, "usage: sfhybrid-ctl [--json] [--connect URI] VERB [ARGUMENT...]\n\n");
	for (size_t i = 0; i < sfh_nverbs; i++)
		(void)fprintf(to, "  %-10s %-14s %s%s\n", sfh_verbs[i].name, sfh_verbs[i].synopsis,
			      sfh_verbs[i].help, sfh_verbs[i].run ? "" : " (not in this version)");
	(void)fprintf(to,
		      "\n  --json         print JSON (docs/json.md)\n"
		      "  --connect URI  libvirt to read from (qemu:///system)\n\n"
		      "'sfhybrid-ctl VERB --help' shows a verb's options. Exit status: 0 done, 1 failed,\n"
		      "2 wrong usage.\n");
}

static void verb_usage(const struct sfh_verb *v, FILE *to)
{
	(void)fprintf(to, "usage: sfhybrid-ctl %s%s%s%s\n\n%s%s\n", v->name,
		      v->synopsis[0] ? " " : "", v->synopsis, v->options ? " [OPTION...]" : "",
		      v->help, v->run ? "" : " (not in this version)");
	for (size_t i = 0; i < SFH_ARRAY_SIZE(options); i++)
		if (v->options & options[i].bit)
			(void)fprintf(to, "  %s%s%-*s %s\n", options[i].name,
				      options[i].value ? " " : "",
				      18 - (int)strlen(options[i].name),
				      options[i].value ? options[i].value : "", options[i].help);
}

/* The tables as text, for what is generated from them at build time (dist/):
 *   verb<TAB>NAME<TAB>SYNOPSIS<TAB>OPTIONS<TAB>HELP<TAB>yes|no (in this version)
 *   option<TAB>NAME<TAB>VALUE<TAB>HELP */
static void print_tables(void)
{
	for (size_t v = 0; v < sfh_nverbs; v++) {
		(void)printf("verb\t%s\t%s\t", sfh_verbs[v].name, sfh_verbs[v].synopsis);
		for (size_t o = 0, n = 0; o < SFH_ARRAY_SIZE(options); o++)
			if (sfh_verbs[v].options & options[o].bit)
				(void)printf("%s%s", n++ ? " " : "", options[o].name);
		(void)printf("\t%s\t%s\n", sfh_verbs[v].help, sfh_verbs[v].run ? "yes" : "no");
	}
	for (size_t o = 0; o < SFH_ARRAY_SIZE(options); o++)
		(void)printf("option\t%s\t%s\t%s\n", options[o].name,
			     options[o].value ? options[o].value : "", options[o].help);
}

static int bad_usage(const struct sfh_verb *v, const char *what, const char *arg)
{
	(void)fprintf(stderr, "sfhybrid-ctl: %s '%s'\n", what, arg);
	if (v)
		verb_usage(v, stderr);
	else
		(void)fprintf(stderr, "'sfhybrid-ctl --help' lists the verbs.\n");
	return SFH_EXIT_USAGE;
}

int sfh_cli_fail(const struct sfh_cli *cli, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)sfh_utf8_mend(text);
	if (cli->json)
		(void)sfh_cli_print_json(json_pack("{s:s}", "error", text));
	else
		(void)fprintf(stderr, "sfhybrid-ctl: %s\n", text);
	return SFH_EXIT_FAILED;
}

int sfh_cli_print_json(json_t *object)
{
	int status = object ? SFH_EXIT_OK : SFH_EXIT_FAILED;

	if (!object) /* some text for it was not UTF-8 */
		object = json_pack("{s:s}", "error", "what is to be told cannot be written as JSON");
	(void)json_object_set_new(object, "schema", json_integer(SFHYBRID_JSON_SCHEMA));
	(void)json_dumpf(object, stdout, JSON_INDENT(2) | JSON_SORT_KEYS);
	(void)putchar('\n');
	json_decref(object);
	return status;
}

int sfh_cli_version(struct sfh_cli *cli)
{
	if (cli->json)
		return sfh_cli_print_json(json_pack("{s:s, s:[s,s,s]}", "version", SFHYBRID_VERSION,
						    "features", "tc", "xdp", "libvirt"));
	(void)printf("sfhybrid-ctl %s\n", SFHYBRID_VERSION);
	return SFH_EXIT_OK;
}

static int parse_number(const char *text, unsigned *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || v == 0 || v > 1000000 || text[0] == '-')
		return -EINVAL;
	*ret = (unsigned)v;
	return 0;
}

/* One "--option"; *i moves on when it takes a value. SFH_EXIT_OK or _USAGE. */
static int parse_option(struct sfh_cli *cli, const struct sfh_verb *v, int argc, char **argv, int *i)
{
	if (strcmp(argv[*i], "--json") == 0) {
		cli->json = true;
		return SFH_EXIT_OK;
	}
	if (strcmp(argv[*i], "--connect") == 0) {
		if (++*i >= argc)
			return bad_usage(v, "a URI must follow", "--connect");
		cli->libvirt_uri = argv[*i];
		return SFH_EXIT_OK;
	}
	for (size_t o = 0; v && o < SFH_ARRAY_SIZE(options); o++) {
		if (strcmp(argv[*i], options[o].name) != 0 || !(v->options & options[o].bit))
			continue;
		cli->given |= options[o].bit;
		if (options[o].value && (++*i >= argc || parse_number(argv[*i], &cli->limit) < 0))
			return bad_usage(v, "a positive number must follow", options[o].name);
		return SFH_EXIT_OK;
	}
	return bad_usage(v, "unknown option", argv[*i]);
}

int main(int argc, char **argv)
{
	struct sfh_cli cli = { .env = SFH_ENV_DEFAULT, .libvirt_uri = "qemu:///system" };
	const struct sfh_verb *verb = NULL;
	bool options_end = false;

	for (int i = 1; i < argc; i++) {
		if (!options_end && strcmp(argv[i], "--") == 0) {
			options_end = true;
		} else if (!options_end &&
			   (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
			    (!verb && strcmp(argv[i], "help") == 0))) {
			if (verb)
				verb_usage(verb, stdout);
			else
				usage(stdout);
			return SFH_EXIT_OK;
		} else if (!options_end && !verb && strcmp(argv[i], "--tables") == 0) {
			print_tables();
			return SFH_EXIT_OK;
		} else if (!options_end && !verb && strcmp(argv[i], "--version") == 0) {
			return sfh_cli_version(&cli);
		} else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
			if (parse_option(&cli, verb, argc, argv, &i) != SFH_EXIT_OK)
				return SFH_EXIT_USAGE;
		} else if (!verb) {
			verb = find_verb(argv[i]);
			if (!verb)
				return bad_usage(NULL, "unknown verb", argv[i]);
		} else if (cli.nargs >= verb->max_args) {
			return bad_usage(verb, "unexpected argument", argv[i]);
		} else {
			cli.args[cli.nargs++] = argv[i];
		}
	}
	if (!verb) {
		usage(stderr);
		return SFH_EXIT_USAGE;
	}
	if (cli.nargs < verb->min_args)
		return bad_usage(verb, "missing", verb->synopsis);
	if (!verb->anyone && geteuid() != 0)
		return sfh_cli_fail(&cli, "'%s' must run as root", verb->name);
	if (!verb->run)
		return sfh_cli_fail(&cli, "'%s' is not in this version (%s)", verb->name,
				    SFHYBRID_VERSION);
	return verb->run(&cli);
}
