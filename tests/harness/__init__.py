"""The harness: private servers, the program under test, workloads, and the comparison of two databases.

Every connector's tests use it. Nothing here sleeps for luck: each wait has a condition and a deadline
(wait.py), each server lives in a folder of its own and dies with the test run (process.py, servers.py).
"""
