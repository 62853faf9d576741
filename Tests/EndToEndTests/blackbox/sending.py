"""Messages from several threads at once, each until the server has taken it."""
import threading
import time

from .matrix import quoted


class Sending:
    """What is sent into one room, by text. A send that gets no answer, or one of the statuses in `later`, is repeated under
    its transaction id."""

    def __init__(self, room, later=(429, 503)):
        self.room, self.later = room, later
        self.acknowledged, self.problems = {}, []      # text: event id
        self._lock, self._over = threading.Lock(), threading.Event()

    def threads(self, *jobs):
        """Started, one for each job: a user, pairs of transaction id and text, and what is called before each try."""
        made = [threading.Thread(target=self._send_all, args=job) for job in jobs]
        for thread in made:
            thread.start()
        return made

    def give_up(self):
        """Nobody tries again whose send gets no answer."""
        self._over.set()

    def until(self, count, threads):
        """Waits until so many were taken, or no thread is left."""
        while len(self.acknowledged) < count and any(thread.is_alive() for thread in threads):
            time.sleep(0.005)

    def _send_all(self, user, messages, wait=lambda: None):
        for transaction, text in messages:
            while True:
                wait()
                try:
                    answer = user.request("PUT", f"/rooms/{quoted(self.room)}/send/m.room.message/{transaction}",
                                          {"msgtype": "m.text", "body": text})
                except Exception:          # no answer: the same transaction again, once the server is back
                    if self._over.is_set():
                        return
                    time.sleep(0.02)
                    continue
                if answer.status == 200:
                    with self._lock:
                        self.acknowledged[text] = answer.json["event_id"]
                    break
                if answer.status not in self.later:
                    self.problems.append(f"{text}: {answer}")
                    return
                time.sleep(0.05)
