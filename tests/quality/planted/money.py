"""Bugs in sagas that move money: a transfer in memory, and one whose accounts are in SQLite."""

# ruff: noqa: D101, D102 - a bug replaces one method, and its "why" says how

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from saga_fsm import GUARDED, Rejected, Saga, Status, pivot, retriable, step
from tests.quality.planted.scene import SEVERAL, World, bug, monitored


GIVEN = {"source": "ada", "target": "grace", "amount": 300}


# ---------------------------------------------------------------------- a bank in memory


class Bank(World):
    """Two accounts, what is on its way between them, and letters."""

    def __init__(self) -> None:
        super().__init__()
        self.accounts = {"ada": 1_000, "grace": 0}
        self.moving = 0
        self.letters: list[str] = []

    def post(self, account: str, amount: int) -> dict[str, Any]:
        """Add to an account, or take from it."""
        if self.accounts[account] + amount < 0:
            raise Rejected(f"{account} has not enough")
        self.accounts[account] += amount
        self.moving -= amount
        return {"account": account, "amount": amount}

    def unpost(self, posting: dict[str, Any]) -> None:
        """Take a posting back."""
        self.accounts[posting["account"]] -= posting["amount"]
        self.moving += posting["amount"]

    def withdraw(self, ctx: Any) -> Any:
        """Take the money from its owner."""
        given = ctx.input
        return self.once(ctx.key, lambda: self.post(given["source"], -given["amount"]))

    def give_back(self, ctx: Any) -> None:
        """Give it to its owner again."""
        self.back(ctx.action_key, self.unpost)

    def deposit(self, ctx: Any) -> Any:
        """Give it to its new owner."""
        given = ctx.input
        return self.once(ctx.key, lambda: self.post(given["target"], given["amount"]))

    def inform(self, ctx: Any) -> Any:
        """Tell both."""
        return self.once(ctx.key, lambda: self.letters.append(ctx.run_id))


def withdraw(ctx: Any) -> Any:
    """Take the money."""
    return ctx.services.withdraw(ctx)


def give_back(ctx: Any, _posting: Any | None) -> None:
    """Give it back."""
    ctx.services.give_back(ctx)


def deposit(ctx: Any) -> Any:
    """Hand it over."""
    return ctx.services.deposit(ctx)


def inform(ctx: Any) -> None:
    """Write the letters."""
    ctx.services.inform(ctx)


def transfer(
    withdraw: Any = withdraw, give_back: Any = give_back, deposit: Any = deposit
) -> Saga[Any, Any]:
    """Withdraw, deposit, inform."""
    return Saga(
        "transfer",
        step(withdraw, name="withdraw", compensate=monitored(give_back), retry=SEVERAL),
        pivot(deposit, name="deposit"),
        retriable(inform),
        contract=GUARDED,
    )


def money_is_conserved(world: Any, outcome: Any) -> bool:
    """Nothing is made or lost; all of it has moved, or none."""
    there = 300 if outcome.status is Status.COMPLETED else 0
    accounts = {"ada": 1_000 - there, "grace": there}
    letters = ["r"] if there else []
    return world.accounts == accounts and world.moving == 0 and len(world.letters) == len(letters)


HEALTHY = (transfer, Bank)


class UnkeyedBank(Bank):
    def withdraw(self, ctx: Any) -> Any:
        return self.post(ctx.input["source"], -ctx.input["amount"])

    def give_back(self, ctx: Any) -> None:
        self.unpost({"account": ctx.input["source"], "amount": -ctx.input["amount"]})


class TwiceBank(Bank):
    def deposit(self, ctx: Any) -> Any:
        return self.post(ctx.input["target"], ctx.input["amount"])


class WrongKeyBank(Bank):
    def give_back(self, ctx: Any) -> None:
        self.back(ctx.key, self.unpost)


class RefundsAgainBank(Bank):
    def give_back(self, ctx: Any) -> None:
        mark, posting = self.kept.get(ctx.action_key, ("fresh", None))
        if mark == "applied":
            self.unpost(posting)
        else:
            self.kept[ctx.action_key] = ("undone", "it was taken back")


class OpenBank(Bank):
    def give_back(self, ctx: Any) -> None:
        if ctx.action_key in self.kept:
            super().give_back(ctx)


class SwallowingBank(Bank):
    def give_back(self, ctx: Any) -> None:
        try:
            _, posting = self.kept.pop(ctx.action_key)
            self.unpost(posting)
        except (KeyError, TypeError):
            pass  # it was given back already, surely


class AttemptBank(Bank):
    def withdraw(self, ctx: Any) -> Any:
        given = ctx.input
        post = lambda: self.post(given["source"], -given["amount"])  # noqa: E731 - one line
        return self.once(f"{ctx.key}#{ctx.attempt}", post)

    def give_back(self, ctx: Any) -> None:
        for attempt in (1, 2, 3):
            known = self.kept.get(f"{ctx.action_key}#{attempt}")
            if known is not None or attempt == 1:
                self.back(f"{ctx.action_key}#{attempt}", self.unpost)
                return


_SEEN: dict[str, Any] = {}


class CachingBank(Bank):
    def deposit(self, ctx: Any) -> Any:
        if ctx.step not in _SEEN:
            _SEEN[ctx.step] = self.post(ctx.input["target"], ctx.input["amount"])
        return _SEEN[ctx.step]


class LetterBank(Bank):
    def inform(self, ctx: Any) -> Any:
        self.letters.append(ctx.run_id)


def refund_amount(ctx: Any, _posting: Any | None) -> None:
    """Pay the amount of the order back, once."""
    bank, given = ctx.services, ctx.input
    posting = {"account": given["source"], "amount": -given["amount"]}
    bank.once(ctx.key, lambda: bank.unpost(posting))
    bank.kept.setdefault(ctx.action_key, ("undone", "it was taken back"))


def refund_result(ctx: Any, posting: Any | None) -> None:
    """Take back what the action said that it did."""
    bank = ctx.services
    if posting is not None:
        bank.back(ctx.action_key, bank.unpost)


def deposit_checked_late(ctx: Any) -> Any:
    """Hand it over, and say no when the bank's first word is not a yes."""
    bank = ctx.services
    if ctx.key in bank.kept:
        raise Rejected("this transfer was seen before")
    return bank.deposit(ctx)


def _bank(name: str, where: Any, why: str, script: str, **parts: Any) -> Any:
    saga, world = parts.get("saga", transfer), parts.get("world", Bank)
    return bug(
        name,
        where,
        why,
        saga=saga,
        world=world,
        healthy=HEALTHY,
        given=GIVEN,
        consistent=money_is_conserved,
        script=script,
    )


IN_MEMORY = (
    _bank(
        "withdraw without a key",
        "world",
        "The bank takes the money each time it is asked, and gives it back each time too.",
        "withdraw withdraw",
        world=UnkeyedBank,
    ),
    _bank(
        "deposit without a key",
        "world",
        "The pivot is called again in doubt, and the bank posts it again.",
        "withdraw deposit deposit",
        world=TwiceBank,
    ),
    _bank(
        "refund under the undo's own key",
        "world",
        "The undo looks its action up under ctx.key, which is another key: it finds nothing.",
        "withdraw withdraw-",
        world=WrongKeyBank,
    ),
    _bank(
        "refund each time it is asked",
        "world",
        "The undo does not note that it has undone.",
        "withdraw withdraw- withdraw-",
        world=RefundsAgainBank,
    ),
    _bank(
        "no tombstone at the bank",
        "world",
        "An undo that finds nothing leaves nothing: the withdrawal that comes later lands.",
        "withdraw-? withdraw",
        world=OpenBank,
    ),
    _bank(
        "refund swallows what it does not find",
        "world",
        "A try around the undo makes success of a missing posting, and forgets the key.",
        "withdraw withdraw- withdraw",
        world=SwallowingBank,
    ),
    _bank(
        "a key an attempt",
        "world",
        "The idempotency key has the attempt's number in it: each attempt lands.",
        "withdraw withdraw*2",
        world=AttemptBank,
    ),
    _bank(
        "a cache that outlives the run",
        "world",
        "A module's cache by the step's name answers the next run from the last one.",
        "r1:withdraw r1:deposit r2:withdraw r2:deposit run",
        world=CachingBank,
    ),
    _bank(
        "a letter each time",
        "world",
        "What must happen at least once happens more than once: letters have no key.",
        "inform inform",
        world=LetterBank,
    ),
    _bank(
        "refund by amount",
        "step",
        "The undo pays the order's amount, whether the withdrawal had landed or not.",
        "withdraw-?",
        saga=lambda: transfer(give_back=refund_amount),
    ),
    _bank(
        "refund only of a known result",
        "step",
        "Without the action's result the undo does nothing, though the action may have landed.",
        "withdraw withdraw-?",
        saga=lambda: transfer(give_back=refund_result),
    ),
    _bank(
        "a duplicate is refused",
        "step",
        "The pivot answers its own repetition with a rejection, so the saga turns back behind it.",
        "withdraw deposit deposit",
        saga=lambda: transfer(deposit=deposit_checked_late),
    ),
)


# ---------------------------------------------------------------------- accounts in SQLite


class Ledger:
    """The same bank in a database: each call is one transaction."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._lock = RLock()
        self.database = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.database.executescript(
            "CREATE TABLE accounts (name TEXT PRIMARY KEY, balance INTEGER CHECK (balance >= 0));"
            "CREATE TABLE postings (key TEXT PRIMARY KEY, mark TEXT, account TEXT, amount INTEGER);"
            "INSERT INTO accounts VALUES ('ada', 1000), ('grace', 0);"
        )

    def __del__(self) -> None:
        self.database.close()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """All or nothing."""
        with self._lock:
            self.database.execute("BEGIN IMMEDIATE")
            try:
                yield self.database.execute
            except BaseException:
                self.database.execute("ROLLBACK")
                raise
            self.database.execute("COMMIT")

    def post(self, key: str, account: str, amount: int) -> int:
        """Post under a key, once."""
        with self.transaction() as sql:
            return self.post_within(sql, key, account, amount)

    def post_within(self, sql: Any, key: str, account: str, amount: int) -> int:
        """Post in a transaction."""
        known = sql("SELECT mark FROM postings WHERE key = ?", (key,)).fetchone()
        if known is not None:
            if known[0] != "applied":
                raise Rejected(known[0])
            return amount
        self.credit(sql, account, amount)
        sql("INSERT INTO postings VALUES (?, 'applied', ?, ?)", (key, account, amount))
        return amount

    @staticmethod
    def credit(sql: Any, account: str, amount: int) -> None:
        """Change a balance."""
        sql("UPDATE accounts SET balance = balance + ? WHERE name = ?", (amount, account))

    def unpost(self, key: str) -> None:
        """Take a posting back, once, or see that none comes."""
        with self.transaction() as sql:
            query = "SELECT mark, account, amount FROM postings WHERE key = ?"
            mark, account, amount = sql(query, (key,)).fetchone() or ("", "", 0)
            if mark == "applied":
                self.credit(sql, account, -amount)
            sql("INSERT OR REPLACE INTO postings VALUES (?, 'undone', '', 0)", (key,))

    @property
    def balances(self) -> dict[str, int]:
        """By name."""
        with self._lock:
            return dict(self.database.execute("SELECT name, balance FROM accounts"))

    def view(self) -> dict[str, Any]:
        """What can be seen."""
        return {"balances": self.balances, "errors": self.errors}


def debit(ctx: Any) -> int:
    """Take the money."""
    return int(ctx.services.post(ctx.key, "ada", -ctx.input["amount"]))


def undo_debit(ctx: Any, _amount: int | None) -> None:
    """Give it back."""
    ctx.services.unpost(ctx.action_key)


def credit(ctx: Any) -> int:
    """Hand it over."""
    return int(ctx.services.post(ctx.key, "grace", ctx.input["amount"]))


def confirm(ctx: Any) -> None:
    """The last word: nothing is left to do."""
    ctx.services.post(ctx.key, "grace", 0)


def wallet() -> Saga[Any, Any]:
    """Debit, credit, confirm."""
    return Saga(
        "wallet",
        step(debit, compensate=monitored(undo_debit), retry=SEVERAL),
        step(credit, compensate=monitored(undo_debit), retry=SEVERAL),
        pivot(confirm),
        contract=GUARDED,
    )


def balances_add_up(world: Any, outcome: Any) -> bool:
    """All has moved or none."""
    there = 300 if outcome.status is Status.COMPLETED else 0
    return bool(world.balances == {"ada": 1_000 - there, "grace": there})


class ReplacingLedger(Ledger):
    def post_within(self, sql: Any, key: str, account: str, amount: int) -> int:
        query = "SELECT 1 FROM postings WHERE key = ? AND mark = 'undone'"
        if sql(query, (key,)).fetchone():
            raise Rejected("undone")
        insert = "INSERT OR REPLACE INTO postings VALUES (?, 'applied', ?, ?)"
        sql(insert, (key, account, amount))
        self.credit(sql, account, amount)
        return amount


class DeletingLedger(Ledger):
    def unpost(self, key: str) -> None:
        with self.transaction() as sql:
            query = "SELECT account, amount FROM postings WHERE key = ?"
            known = sql(query, (key,)).fetchone()
            if known is not None:
                self.credit(sql, known[0], -known[1])
                sql("DELETE FROM postings WHERE key = ?", (key,))


class SnapshotLedger(Ledger):
    """Keeps the balance as it was, and writes that back."""

    def post_within(self, sql: Any, key: str, account: str, amount: int) -> int:
        before = self.balances[account]
        super().post_within(sql, key, account, amount)
        sql("UPDATE postings SET amount = ? WHERE key = ? AND amount <> 0", (before, key))
        return amount

    def unpost(self, key: str) -> None:
        with self.transaction() as sql:
            query = "SELECT account, amount FROM postings WHERE key = ? AND mark = 'applied'"
            known = sql(query, (key,)).fetchone()
            account, before = known or ("ada", 0)
            sql("UPDATE accounts SET balance = ? WHERE name = ?", (before, account))
            sql("INSERT OR REPLACE INTO postings VALUES (?, 'undone', '', 0)", (key,))


class LooseLedger(Ledger):
    """Fails where the row that it counts on is missing."""

    def unpost(self, key: str) -> None:
        with self.transaction() as sql:
            query = "SELECT mark, account, amount FROM postings WHERE key = ?"
            mark, account, amount = sql(query, (key,)).fetchone()
            if mark == "applied":
                self.credit(sql, account, -amount)
                sql("UPDATE postings SET mark = 'undone' WHERE key = ?", (key,))


def _ledger(name: str, why: str, script: str, world: Any) -> Any:
    return bug(
        name,
        "world",
        why,
        saga=wallet,
        world=world,
        healthy=(wallet, Ledger),
        given=GIVEN,
        consistent=balances_add_up,
        script=script,
    )


IN_SQLITE = (
    _ledger(
        "INSERT OR REPLACE as idempotency",
        "The key is written once, the balance is changed each time.",
        "debit debit",
        ReplacingLedger,
    ),
    _ledger(
        "the undo deletes the key's row",
        "With the row goes the memory: an action that comes after its undo lands.",
        "debit debit- debit",
        DeletingLedger,
    ),
    _ledger(
        "the undo writes an old balance back",
        "Where nothing had landed there is no old balance, and zero is written.",
        "debit-?",
        SnapshotLedger,
    ),
    _ledger(
        "the undo unpacks a row that is not there",
        "A null compensation meets None, and raises for ever.",
        "debit-?",
        LooseLedger,
    ),
)
