/* The lab's memory on disk: see the header for what is where and in which order it is written and removed. */
#include "ctl/lab_state.h"

#include "base/check.h"
#include "base/str.h"
#include "ctl/lab_file.h"
#include "ctl/lab_time.h"
#include "ctl/out.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#define STATE	      LAB_DIR "/state.json"
#define STATE_VERSION 1
#define LOCK_WAIT     (120 * SEC)
#define TEXT_MAX      (1u << 20)

int lab_mkdir(const char *path, struct err *e)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return err_set(e, errno, "make the directory %s: %m", path);
}

int lab_lock(struct err *e)
{
	int r = lab_mkdir(LAB_TOP, e);

	if (r < 0)
		return r;
	own_fd int fd = open(LAB_TOP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "open %s: %m", LAB_TOP);
	usec_t start = lab_now();
	for (bool told = false; flock(fd, LOCK_EX | LOCK_NB) < 0;) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(e, errno, "lock %s: %m", LAB_TOP);
		if (lab_now() - start > LOCK_WAIT)
			return err_set(e, EBUSY,
				       "another 'korat lab' command is still at work: wait for it to end, or "
				       "end it");
		if (!told && lab_now() - start > SEC)
			told = (out_note("waiting for another 'korat lab' command to end"), true);
		lab_pause(50 * MSEC);
	}
	return take_fd(fd);
}

char *lab_path_node(const char *node, const char *file, char buf[static LAB_PATH_MAX])
{
	snprintf(buf, LAB_PATH_MAX, LAB_DIR "/nodes/%.63s%s%.40s", node, *file ? "/" : "", file);
	return buf;
}

char *lab_path_pod(const char *pod, char buf[static LAB_PATH_MAX])
{
	snprintf(buf, LAB_PATH_MAX, LAB_DIR "/pods/%.63s.json", pod);
	return buf;
}

static int write_all(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t k = write(fd, text, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		text += k;
		n -= (size_t)k;
	}
	return 0;
}

/* The rename is durable once the directory is. */
static int sync_dir(const char *path)
{
	char dir[LAB_PATH_MAX + 8];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	own_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int lab_write_file(const char *path, const char *text, bool sync, struct err *e)
{
	char tmp[LAB_PATH_MAX + 8];

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	own_fd int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(e, errno, "write %s: %m", tmp);
	int r = write_all(fd, text, strlen(text));
	if (r < 0)
		return err_set(e, -r, "write %s: %m", tmp);
	if (sync && fsync(fd) < 0)
		return err_set(e, errno, "write %s: %m", tmp);
	if (rename(tmp, path) < 0)
		return err_set(e, errno, "rename %s to %s: %m", tmp, path);
	r = sync ? sync_dir(path) : 0;
	return r < 0 ? err_set(e, -r, "write %s: %m", path) : 0;
}

int lab_read_text(const char *path, char **ret, struct err *e)
{
	own_str struct str text = { 0 };
	char buf[8192];

	own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, errno, "read %s: %m", path);
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, errno, "read %s: %m", path);
		if (n == 0)
			break;
		if (text.n + (size_t)n > TEXT_MAX)
			return err_set(e, EFBIG, "%s is larger than %u bytes", path, TEXT_MAX);
		str_addn(&text, buf, (size_t)n);
	}
	*ret = str_take(&text);
	return 0;
}

static void add_name(void *arg, const char *netns)
{
	json_array_append_new(arg, json_string(netns));
}

int lab_state_write(const struct lab *l, bool complete, struct err *e)
{
	int r;

	if ((r = lab_mkdir(LAB_TOP, e)) || (r = lab_mkdir(LAB_DIR, e)) ||
	    (r = lab_mkdir(LAB_DIR "/nodes", e)) || (r = lab_mkdir(LAB_DIR "/pods", e)))
		return r;
	json_t *names = json_array();
	lab_each_netns(l, add_name, names);
	json_t *doc = json_pack("{s:i, s:b, s:o, s:o}", "version", STATE_VERSION, "complete", complete,
				"namespaces", names, "lab", lab_encode(l));
	CHECK(doc);
	own_mem char *text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	CHECK(text);
	return lab_write_file(STATE, text, true, e);
}

bool lab_state_exists(void)
{
	return access(STATE, F_OK) == 0;
}

static int load(json_t **ret, struct err *e)
{
	json_error_t je;

	if (!lab_state_exists() && errno == ENOENT)
		return err_set(
			e, ENOENT,
			"no lab is up: start one with 'korat lab up FILE' or 'korat lab up --nodes N'");
	*ret = json_load_file(STATE, 0, &je);
	if (!*ret)
		return err_set(e, EIO, "%s is damaged (line %d: %s): 'korat lab down' removes the lab", STATE,
			       je.line, je.text);
	return 0;
}

int lab_state_read(struct lab *ret, bool *ret_complete, struct err *e)
{
	json_t *doc;
	int r = load(&doc, e);

	if (r < 0)
		return r;
	if (json_integer_value(json_object_get(doc, "version")) != STATE_VERSION)
		r = err_set(e, EPROTO,
			    "the lab was made by another version of korat: 'korat lab down' removes it");
	else if ((r = lab_decode_json(json_object_get(doc, "lab"), ret, e)) < 0)
		err_in(e, STATE);
	*ret_complete = json_is_true(json_object_get(doc, "complete"));
	json_decref(doc);
	return r;
}

json_t *lab_state_netns(struct err *e)
{
	json_t *doc, *names;

	if (load(&doc, e) < 0)
		return NULL;
	names = json_incref(json_object_get(doc, "namespaces"));
	json_decref(doc);
	if (!json_is_array(names))
		err_set(e, EIO, "%s does not list the lab's namespaces", STATE);
	return names;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (strcmp(path, STATE) == 0 || strcmp(path, LAB_DIR) == 0)
		return 0;
	return remove(path) == 0 || errno == ENOENT ? 0 : errno;
}

int lab_state_remove(struct err *e)
{
	int r = nftw(LAB_DIR, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	if (r != 0 && !(r < 0 && errno == ENOENT))
		return err_set(e, r > 0 ? r : errno, "remove %s: %m", LAB_DIR);
	if ((unlink(STATE) < 0 && errno != ENOENT) || (rmdir(LAB_DIR) < 0 && errno != ENOENT))
		return err_set(e, errno, "remove %s: %m", LAB_DIR);
	/* Others may keep theirs beside the lab. */
	rmdir(LAB_TOP);
	return 0;
}
