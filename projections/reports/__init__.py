"""The reports of the Insights door: what is said of a consumer's accounts and rows in a window of days.

Made when they are asked for, from the rows of one moment. `shapes` has what is answered, `listing` the rows that a
report is of; the other modules are one report each.
"""
