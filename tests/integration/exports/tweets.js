window.YTD.tweets.part0 = [
  {
    "tweet": {
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "favorite_count": "5",
      "id_str": "1050118621658873857",
      "id": "1050118621658873857",
      "retweet_count": "2",
      "created_at": "Wed Oct 10 20:19:24 +0000 2018",
      "full_text": "Fog &amp; foghorns &lt;3 \"quoted ] }\" end",
      "lang": "en"
    }
  },
  {
    "tweet": {
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "favorite_count": "0",
      "id_str": "1081445189022646273",
      "id": "1081445189022646273",
      "retweet_count": "17",
      "created_at": "Sat Jan 05 07:00:00 +0000 2019",
      "full_text": "RT @harbour: storm on Sunday",
      "lang": "en"
    }
  },
  {
    "tweet": {
      "retweeted": false,
      "entities": {
        "hashtags": [],
        "urls": []
      },
      "favorite_count": "1",
      "id_str": "1081807576888246273",
      "id": "1081807576888246273",
      "retweet_count": "0",
      "created_at": "Sun Jan 06 07:00:00 +0000 2019",
      "full_text": "Lee: ñandú \ud83c\udf0a \ud83d",
      "lang": "en"
    }
  }
]