/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where this process finds its surroundings. Passed down instead of globals,
 * so that a test hands in a directory tree of its own. */
#ifndef SFH_CORE_ENV_H
#define SFH_CORE_ENV_H

struct sfh_env {
	const char *sysfs;   /* "/sys" */
	const char *bpffs;   /* "/sys/fs/bpf" */
	const char *run_dir; /* "/run/sfhybrid": socket, ledger */
	const char *lib_dir; /* "/var/lib/sfhybrid": history */
};

#define SFH_ENV_DEFAULT                                                                            \
	{                                                                                          \
		.sysfs = "/sys", .bpffs = "/sys/fs/bpf", .run_dir = "/run/sfhybrid",               \
		.lib_dir = "/var/lib/sfhybrid"                                                     \
	}

#define SFH_SOCKET_NAME "agent.sock"
#define SFH_LEDGER_NAME "ledger.db"
#define SFH_HISTORY_NAME "history.db"

#endif
